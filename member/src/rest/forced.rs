//! `…/forceStart`, `…/forceStartConsent`: an empty cluster in place of one that waits for what never comes back.
//!
//! Law: what would be given up is told first, with its digest; only who gives that digest back consents to it, and each
//! member judges it again. Must not know: what giving up is.

use jet_admin_api::rest::reply::Reply;
use jet_core::giving_up::{Gives, GivingUp};
use jet_core::{Digest, MemberId};
use tracing::info;

use super::act::refused;
use super::answer::Answer;
use crate::member::Member;

/// With the consent, or asked for what it would be to.
pub async fn start(member: &Member, consent: Option<&str>) -> Answer {
    let node = match member.node() {
        Ok(node) => node,
        Err(refusal) => return refused(&refusal),
    };
    if member.under_operator() {
        return failed(
            "nothing was changed: this cluster is led by an operator, which waits for every original member on its own volume",
        );
    }
    let Some(consent) = consent else {
        return match node.would_give_up().await {
            Ok(all) => failed(&format!("nothing was changed: {}", asks(&all))),
            Err(why) => failed(&format!("nothing was changed: {why}")),
        };
    };
    info!(consent, "REST: a forced start is consented to");
    let (given, why) = node.give_all_up(Digest(consent.into())).await;
    match (given.is_empty(), why) {
        (_, None) => {
            let message = format!("{} begin anew, with blank stores; the old ones lie in quarantine", members(&given));
            Answer::json(&Reply { message: Some(message), ..Reply::success() })
        }
        (true, Some(why)) => failed(&format!("nothing was changed: {why}")),
        (false, Some(why)) => failed(&format!("{} begin anew, and then it ended: {why}", members(&given))),
    }
}

fn failed(why: &str) -> Answer {
    Answer::json(&Reply::failed(why))
}

fn members(ordinals: &[u32]) -> String {
    let numbers: Vec<_> = ordinals.iter().map(u32::to_string).collect();
    format!("member {}", numbers.join(", "))
}

fn asks(all: &GivingUp) -> String {
    let gives: Vec<_> = all.gives.iter().map(given).collect();
    let away: Vec<_> = all.away.iter().map(named).collect();
    let away = match away.is_empty() {
        true => String::new(),
        false => format!(
            ". Member {} is not heard: it keeps its store, and comes into the new cluster only when that is given up too",
            away.join(", ")
        ),
    };
    format!(
        "a forced start puts the whole store of member {} into quarantine in its own directory; every map, job and snapshot \
         is gone from the cluster, which begins empty, with new members{away}. If that is what you want, ask again with the \
         consent {}",
        gives.join(", "),
        all.digest()
    )
}

fn given(gives: &Gives) -> String {
    let (ordinal, member) = (gives.ordinal, gives.member);
    match &gives.founding {
        Some(cluster) => format!("{ordinal} ({member}, of cluster {cluster}, generation {})", gives.generation.0),
        None => format!("{ordinal} ({member}, of no cluster)"),
    }
}

fn named((ordinal, member): &(u32, MemberId)) -> String {
    format!("{ordinal} ({member})")
}

#[cfg(test)]
mod tests {
    use jet_core::{Boot, FoundingId, Generation};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_consented_to_is_told_whole() {
        let (member, other) = (MemberId(Uuid::from_u128(7)), MemberId(Uuid::from_u128(8)));
        let cluster = FoundingId(Uuid::from_u128(9));
        let gives = Gives { ordinal: 1, member, boot: Boot(3), founding: Some(cluster), generation: Generation(4) };
        let blank = Gives { founding: None, ordinal: 2, ..gives.clone() };
        let mut all = GivingUp { gives: vec![gives, blank], away: vec![(0, other)] };
        let told = asks(&all);
        let words = [
            format!("member 1 ({member}, of cluster {cluster}, generation 4), 2 ({member}, of no cluster) into"),
            format!("Member 0 ({other}) is not heard"),
        ];
        assert!(words.iter().all(|words| told.contains(words)), "{told}");
        assert!(told.ends_with(&all.digest().to_string()), "{told}");
        all.away.clear();
        assert!(!asks(&all).contains("not heard"));
    }
}
