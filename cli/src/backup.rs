//! `jet backup`: a hot backup of every member at one moment.
//!
//! Law: it ends well only when every member has its part; a wait that is over says how far it is and ends nothing. The name is
//! said before it is asked for: whoever hears no answer asks again by it.
//! Must not know: how a backup is made.

use std::time::{Duration, Instant};

use clap::Args;
use jet_admin_api::backup::{BackupState, BackupView, TakeBackup};
use jet_admin_api::client::MemberClient;

use crate::columns::aligned;
use crate::connection::ConnectionError;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// What is asked.
#[derive(Args, Clone, Debug)]
pub struct Ask {
    /// Its name on every member; asked again by the same name, the same backup is told of. Drawn and told, if left out
    #[arg(long)]
    pub name: Option<String>,
    /// Only tell of the last backup
    #[arg(long, conflicts_with_all = ["name", "interrupt"])]
    pub show: bool,
    /// Give up the backup that is being made
    #[arg(long, conflicts_with = "name")]
    pub interrupt: bool,
    /// Seconds to wait for its end; it goes on behind that
    #[arg(long, default_value_t = 300)]
    pub wait: u64,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

/// What to print, and whether it is as it should be: a backup whole on every member, or none under way after an interrupt.
pub async fn ask(client: &MemberClient, ask: &Ask) -> Result<(String, bool), ConnectionError> {
    let view = match ask {
        Ask { show: true, .. } => client.backup().await?,
        Ask { interrupt: true, .. } => client.interrupt_backup().await?,
        Ask { name, wait, .. } => {
            let take = name.clone().map_or_else(drawn, |name| TakeBackup { name });
            let begun = client.take_backup(&take).await?;
            ended(client, take, begun, Duration::from_secs(*wait)).await?
        }
    };
    let good = match view.state {
        BackupState::Success => true,
        state => ask.interrupt && !is_open(state),
    };
    let text = if ask.json { serde_json::to_string(&view)? + "\n" } else { table(&view) };
    Ok((text, good))
}

/// Told beside what is printed for programs, and before anything can go wrong.
fn drawn() -> TakeBackup {
    let take = TakeBackup::by_the_clock();
    eprintln!("jet: asking for backup {0}; without an answer ask again: jet backup --name {0}", take.name);
    take
}

fn is_open(state: BackupState) -> bool {
    matches!(state, BackupState::InProgress | BackupState::Unknown)
}

async fn ended(
    client: &MemberClient,
    take: TakeBackup,
    begun: BackupView,
    wait: Duration,
) -> Result<BackupView, ConnectionError> {
    let (since, mut view) = (Instant::now(), begun);
    while is_open(view.state) && since.elapsed() < wait {
        tokio::time::sleep(LOOK).await;
        // The member that was asked may have ended one meanwhile that is not this one.
        view = match client.backup().await? {
            seen if seen.name.as_ref() == Some(&take.name) => seen,
            _ => client.take_backup(&take).await?,
        };
    }
    Ok(view)
}

fn table(view: &BackupView) -> String {
    let Some(name) = &view.name else { return "no backup\n".into() };
    let rows: Vec<Vec<String>> = view
        .members
        .iter()
        .map(|member| {
            let told = &member.told;
            let figure = |figure: u64| if told.dir.is_empty() { String::new() } else { figure.to_string() };
            let place = told.why.clone().unwrap_or_else(|| told.dir.clone());
            vec![member.ordinal.to_string(), told.state.to_string(), figure(told.files), figure(told.bytes), place]
        })
        .collect();
    format!("Backup: {name}, {}\n\n", view.state) + &aligned(&["MEMBER", "STATE", "FILES", "BYTES", "PLACE"], &rows)
}

#[cfg(test)]
mod tests {
    use jet_admin_api::backup::{MemberBackup, ToldBackup};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_member_has_a_line_with_its_figures_or_its_reason() {
        let made = ToldBackup {
            state: BackupState::Success,
            dir: "/data/backups/nightly".into(),
            files: 9,
            bytes: 4096,
            why: None,
        };
        let full = ToldBackup::only(BackupState::Failure, Some("no room".into()));
        let members = [made, full].into_iter().zip(0..);
        let members = members.map(|(told, ordinal)| MemberBackup { uuid: Uuid::nil(), ordinal, told }).collect();
        let text = table(&BackupView::of(Some("nightly".into()), members));
        assert_eq!(
            text,
            "Backup: nightly, FAILURE\n\n\
             MEMBER   STATE     FILES   BYTES   PLACE\n\
             0        SUCCESS   9       4096    /data/backups/nightly\n\
             1        FAILURE                   no room\n"
        );
        assert_eq!(table(&BackupView::of(None, Vec::new())), "no backup\n");
    }
}
