//! Numbers of all types, compared exactly.
//!
//! Law: neither type nor size changes which of two numbers is the smaller; not-a-number is equal to itself and above all
//! others, as in Java. Must not know: where a number came from.

use std::cmp::Ordering;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, FromPrimitive, ToPrimitive};

/// Digits of a number, before and behind its point.
pub const DIGITS_MOST: usize = 4_096;

/// Up to here each whole number is a double.
const EXACT_IN_DOUBLE: u128 = 1 << 53;

/// A number with its type.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the names are the types
pub enum Number {
    Byte(i8),
    Short(i16),
    Integer(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    Big(BigInt),
    Decimal(BigDecimal),
}

impl Number {
    /// If it has no more than [`DIGITS_MOST`] digits.
    pub fn big(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= DIGITS_MOST * 2 / 5).then(|| Self::Big(BigInt::from_signed_bytes_be(bytes)))
    }

    /// `unscaled` × 10^−`scale`, if it has no more than that.
    pub fn decimal(unscaled: &[u8], scale: i32) -> Option<Self> {
        let Self::Big(unscaled) = Self::big(unscaled)? else { return None };
        let fine = usize::try_from(scale.unsigned_abs()).is_ok_and(|scale| scale <= DIGITS_MOST);
        fine.then(|| Self::Decimal(BigDecimal::new(unscaled, i64::from(scale))))
    }

    /// Without a part behind the point.
    pub fn whole(&self) -> Option<i128> {
        match self {
            Self::Byte(n) => Some((*n).into()),
            Self::Short(n) => Some((*n).into()),
            Self::Integer(n) => Some((*n).into()),
            Self::Long(n) => Some((*n).into()),
            _ => None,
        }
    }

    /// As near as a double comes.
    pub fn double(&self) -> f64 {
        match self {
            Self::Float(n) => (*n).into(),
            Self::Double(n) => *n,
            Self::Big(n) => n.to_f64().unwrap_or(f64::NAN),
            Self::Decimal(n) => n.to_f64().unwrap_or(f64::NAN),
            whole => whole.whole().unwrap_or_default() as f64,
        }
    }

    /// Exactly, where it is a number.
    pub fn exact(&self) -> Option<BigDecimal> {
        match self {
            Self::Float(n) => BigDecimal::from_f32(*n),
            Self::Double(n) => BigDecimal::from_f64(*n),
            Self::Big(n) => Some(BigDecimal::new(n.clone(), 0)),
            Self::Decimal(n) => Some(n.clone()),
            whole => whole.whole().map(BigDecimal::from),
        }
    }

    /// As a double that is the same number.
    fn as_double(&self) -> Option<f64> {
        self.floating().or_else(|| self.whole().filter(|n| n.unsigned_abs() <= EXACT_IN_DOUBLE).map(|n| n as f64))
    }

    fn floating(&self) -> Option<f64> {
        match self {
            Self::Float(n) => Some((*n).into()),
            Self::Double(n) => Some(*n),
            _ => None,
        }
    }

    /// The number of this type that `text` writes.
    pub fn like(&self, text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > DIGITS_MOST {
            return None;
        }
        match self {
            Self::Byte(_) | Self::Short(_) | Self::Integer(_) | Self::Long(_) => {
                text.parse().ok().map(Self::Long).or_else(|| decimal(text))
            }
            Self::Float(_) => text.parse().ok().map(Self::Float),
            Self::Double(_) => text.parse().ok().map(Self::Double),
            Self::Big(_) | Self::Decimal(_) => decimal(text),
        }
    }

    /// As Java writes it.
    pub fn text(&self) -> String {
        let floating = |n: f64, plain: String, powered: String| match n.abs() {
            _ if n == 0.0 || !n.is_finite() => plain.replace("inf", "Infinity"),
            size if (1e-3..1e7).contains(&size) => plain,
            _ => {
                let (digits, power) = powered.split_once('E').unwrap_or((&powered, "0"));
                let point = if digits.contains('.') { "" } else { ".0" };
                format!("{digits}{point}E{power}")
            }
        };
        match self {
            Self::Float(n) => floating((*n).into(), format!("{n:?}"), format!("{n:E}")),
            Self::Double(n) => floating(*n, format!("{n:?}"), format!("{n:E}")),
            Self::Big(n) => n.to_string(),
            Self::Decimal(n) => n.to_plain_string(),
            whole => whole.whole().unwrap_or_default().to_string(),
        }
    }
}

/// Of any size within the bound.
fn decimal(text: &str) -> Option<Number> {
    // Before it is read: an exponent makes zeros.
    let power = text.split_once(['e', 'E']).map_or(Some(0), |(_, power)| power.parse::<i64>().ok())?;
    let most = i64::try_from(DIGITS_MOST).unwrap_or(i64::MAX);
    let read = text.parse::<BigDecimal>().ok().filter(|_| power.abs() <= most)?;
    Some(Number::Decimal(read))
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Some(a), Some(b)) = (self.whole(), other.whole()) {
            return a.cmp(&b);
        }
        if let (Some(a), Some(b)) = (self.floating(), other.floating()) {
            return floats(a, b);
        }
        if let (Some(a), Some(b)) = (self.as_double(), other.as_double()) {
            return floats(a, b);
        }
        match (self.exact(), other.exact()) {
            (Some(a), Some(b)) => a.cmp(&b),
            // One of them is no number that has digits: a double tells where it stands.
            _ => floats(self.double(), other.double()),
        }
    }
}

fn floats(a: f64, b: f64) -> Ordering {
    // Minus zero is zero; not-a-number is above all.
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}
