//! `jet sql`: a bounded SELECT over maps.
//!
//! Law: a truncated answer says so and ends non-zero in `--csv`, so that no script takes a part for the whole.
//! Must not know: how the rows were found.

use jet_admin_api::client::MemberClient;
use jet_admin_api::map::{SqlQuery, SqlRows};

use crate::columns::aligned;
use crate::connection::ConnectionError;

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Aligned for people.
    Table,
    /// RFC 4180 for programs; NULL is an empty cell, an empty string is `""`.
    Csv,
}

/// Rows of `sql` as text, and whether they are all.
pub async fn select(
    client: &MemberClient,
    sql: String,
    limit: u32,
    form: Form,
) -> Result<(String, bool), ConnectionError> {
    let rows = client.sql(&SqlQuery { sql, limit }).await?;
    let text = match form {
        Form::Table => table(&rows),
        Form::Csv => csv(&rows),
    };
    Ok((text, !rows.truncated))
}

fn table(rows: &SqlRows) -> String {
    let header: Vec<&str> = rows.columns.iter().map(String::as_str).collect();
    let cells: Vec<Vec<String>> = rows
        .rows
        .iter()
        .map(|row| row.iter().map(|cell| cell.clone().unwrap_or_else(|| "NULL".into())).collect())
        .collect();
    let more = if rows.truncated { ", and there are more (raise --limit)" } else { "" };
    format!("{}({} rows{more})\n", aligned(&header, &cells), rows.rows.len())
}

fn csv(rows: &SqlRows) -> String {
    let mut text = rows.columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",") + "\n";
    for row in &rows.rows {
        text += &row.iter().map(|cell| cell.as_deref().map_or_else(String::new, quoted)).collect::<Vec<_>>().join(",");
        text.push('\n');
    }
    text
}

fn quoted(cell: &str) -> String {
    if cell.is_empty() || cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_stay_apart_in_csv() {
        let rows = SqlRows {
            columns: vec!["a".into(), "b".into()],
            rows: vec![vec![None, Some(String::new())], vec![Some("x,\"y".into()), Some("1".into())]],
            truncated: false,
        };
        assert_eq!(csv(&rows), "a,b\n,\"\"\n\"x,\"\"y\",1\n");
    }
}
