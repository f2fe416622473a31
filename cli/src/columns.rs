//! Rows as aligned text, in the manner of kubectl.
//!
//! Law: a cell is printed whole. Must not know: what the rows mean.

/// `rows` under `header`, columns three spaces apart, one line a row.
pub fn aligned(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(header.get(column).map(|h| h.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("   ").trim_end().to_owned() + "\n"
    };
    let mut text = line(header.to_vec());
    for row in rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn the_widest_cell_decides() {
        let text = aligned(&["A", "NAME"], &[vec!["12345".into(), "x".into()], vec!["1".into(), "longer".into()]]);
        assert_eq!(text, "A       NAME\n12345   x\n1       longer\n");
    }
}
