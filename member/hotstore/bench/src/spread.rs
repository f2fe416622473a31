//! Middle and ends of repeated measurements, and the slope of growth.
//!
//! Must not know: what was measured.

use serde_json::{Value, json};

/// Median, least and greatest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Median.
    pub median: f64,
    /// Least.
    pub min: f64,
    /// Greatest.
    pub max: f64,
}

impl Spread {
    /// Of these numbers; none: zeros.
    pub fn of(numbers: &[f64]) -> Spread {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
        let last = sorted.len().saturating_sub(1);
        let median = (at(last / 2) + at(sorted.len() / 2)) / 2.0;
        Spread { median: if sorted.is_empty() { 0.0 } else { median }, min: at(0), max: at(last) }
    }

    /// For the record.
    pub fn json(self) -> Value {
        json!({"median": self.median, "min": self.min, "max": self.max})
    }

    /// In words.
    pub fn told(self) -> String {
        format!("{:.3} ({:.3}–{:.3})", self.median, self.min, self.max)
    }
}

/// Slope of the line through the logarithms: 1 is growth in proportion.
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let (mean_x, mean_y) =
        (logs.iter().map(|(x, _)| x).sum::<f64>() / count, logs.iter().map(|(_, y)| y).sum::<f64>() / count);
    let both: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    both / logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Spread::of(&[]).median, 0.0);
    }

    #[test]
    fn slopes() {
        assert!((slope(&[(1.0, 3.0), (2.0, 6.0), (4.0, 12.0)]) - 1.0).abs() < 1e-9);
        assert!((slope(&[(1.0, 1.0), (2.0, 4.0), (4.0, 16.0)]) - 2.0).abs() < 1e-9);
    }
}
