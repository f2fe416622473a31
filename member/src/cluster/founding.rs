//! Founding: blank members become one cluster by one permit.
//!
//! Law: a promise is fsynced before it is told; the lowest ordinal begins the log only when every member of the permit
//! has promised exactly it; the same permit may come again, another is refused. Must not know: who keeps the evidence
//! that nothing existed before.

use jet_admin_api::founding::FoundingPermit;
use jet_admin_api::refusal::{Code, Refusal};
use jet_core::Machine;
use jet_core::roster::MEMBERS_MOST;
use jet_hotstore::Founding;

use crate::config::settings::{BACKUPS_MOST, PARTITIONS_MOST};

/// blake3 over the permit's canonical JSON: ordinals ascending, fields in the order of the type.
pub fn digest(permit: &FoundingPermit) -> String {
    let mut canonical = permit.clone();
    canonical.ordinals.sort_unstable();
    canonical.ordinals.dedup();
    serde_json::to_vec(&canonical).map(|json| blake3::hash(&json).to_hex().to_string()).unwrap_or_default()
}

/// What a permit finds here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Promise it.
    Promise,
    /// It was promised before.
    Promised,
    /// This cluster was founded by it.
    Founded,
}

/// Holds a permit against what this member knows.
pub fn judge(
    permit: &FoundingPermit,
    ordinal: u32,
    promise: Option<&Founding>,
    founded: bool,
    machine: &Machine,
) -> Result<Judgement, Refusal> {
    let wrong = |why: String| Err(Refusal::new(Code::BadRequest, format!("the permit is not usable: {why}")));
    let mut ordinals = permit.ordinals.clone();
    ordinals.sort_unstable();
    ordinals.dedup();
    if ordinals.len() != permit.ordinals.len() || ordinals.is_empty() || ordinals.len() > MEMBERS_MOST {
        return wrong(format!("it must name 1 to {MEMBERS_MOST} different ordinals"));
    }
    // What the machine would refuse is not promised: the promise would stand for ever.
    if !(1..=PARTITIONS_MOST).contains(&permit.partition_count) {
        return wrong(format!("it names {} partitions; 1 to {PARTITIONS_MOST} are possible", permit.partition_count));
    }
    if permit.backup_count > BACKUPS_MOST {
        return wrong(format!("it names {} backups; 0 to {BACKUPS_MOST} are possible", permit.backup_count));
    }
    if !ordinals.contains(&ordinal) {
        return wrong(format!("it does not name this member's ordinal {ordinal}"));
    }
    let digest = digest(permit);
    if let Some(founding) = &machine.founding {
        return match founding.permit_digest.0 == digest {
            true => Ok(Judgement::Founded),
            false => differs(&founding.id.to_string(), "the cluster was founded by another permit"),
        };
    }
    match promise {
        Some(known) if known.list_digest == digest && known.id == permit.founding_id => Ok(Judgement::Promised),
        Some(known) if founded => differs(&known.id.to_string(), "this member's store belongs to a cluster already"),
        Some(known) => differs(&known.id.to_string(), "this member has promised another permit"),
        None if founded => differs("unknown", "this member's store belongs to a cluster already"),
        None => Ok(Judgement::Promise),
    }
}

fn differs(known: &str, why: &str) -> Result<Judgement, Refusal> {
    Err(Refusal::new(Code::FoundingDiffers, format!("{why} (founding id {known})"))
        .hint("send the permit that was recorded first"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn permit(ordinals: &[u32]) -> FoundingPermit {
        FoundingPermit {
            founding_id: Uuid::from_u128(1),
            ordinals: ordinals.to_vec(),
            partition_count: 271,
            backup_count: 1,
        }
    }

    #[test]
    fn the_order_of_ordinals_does_not_matter() {
        assert_eq!(digest(&permit(&[2, 0, 1])), digest(&permit(&[0, 1, 2])));
        assert_ne!(digest(&permit(&[0, 1])), digest(&permit(&[0, 1, 2])));
    }

    #[test]
    fn a_permit_is_judged_by_what_is_known() {
        let blank = Machine::default();
        let good = permit(&[0, 1, 2]);
        let promise = Founding { id: good.founding_id, list_digest: digest(&good) };
        let other = Founding { id: Uuid::from_u128(2), list_digest: digest(&good) };
        assert_eq!(judge(&good, 0, None, false, &blank), Ok(Judgement::Promise));
        assert_eq!(judge(&good, 0, Some(&promise), false, &blank), Ok(Judgement::Promised));
        let code = |r: Result<Judgement, Refusal>| r.unwrap_err().code;
        assert_eq!(code(judge(&good, 0, Some(&other), false, &blank)), Code::FoundingDiffers);
        assert_eq!(code(judge(&good, 0, None, true, &blank)), Code::FoundingDiffers);
        let (promised, founded) =
            (judge(&good, 0, Some(&other), false, &blank), judge(&good, 0, Some(&other), true, &blank));
        assert!(promised.unwrap_err().to_string().contains("has promised another permit"));
        assert!(founded.unwrap_err().to_string().contains("belongs to a cluster already"));
        assert_eq!(code(judge(&good, 3, None, false, &blank)), Code::BadRequest);
        assert_eq!(code(judge(&permit(&[0, 0]), 0, None, false, &blank)), Code::BadRequest);
        let most = u32::try_from(MEMBERS_MOST).unwrap();
        let so_many = |count: u32| judge(&permit(&(0..count).collect::<Vec<_>>()), 0, None, false, &blank);
        assert_eq!(so_many(most), Ok(Judgement::Promise));
        assert_eq!(code(so_many(most + 1)), Code::BadRequest);
        for (partition_count, backup_count) in [(0, 1), (8192, 1), (271, 7)] {
            let never = FoundingPermit { partition_count, backup_count, ..good.clone() };
            assert_eq!(code(judge(&never, 0, None, false, &blank)), Code::BadRequest, "{never:?}");
        }
    }
}
