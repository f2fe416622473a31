//! The body of a POST: parts joined by `&`, each URL-encoded, known by their place and not by a name.
//!
//! Law: the last part may hold `&`. Parts are decoded once; the original decodes name and password twice, by mistake, so
//! a name with `%` or `+` must be encoded once here and twice there. Must not know: what a part means.

/// Longest body taken.
pub const FORM_LIMIT: usize = 64 << 10;

/// Why a body is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Parts are missing.
    #[error("This endpoint expects at least {needed} parameters")]
    TooFew {
        /// So many must be there.
        needed: usize,
    },
    /// A part is not URL-encoded text.
    #[error("part {part} of the body is not URL-encoded UTF-8; encode '%', '&' and '+' in it")]
    Encoding {
        /// Which, from 1.
        part: usize,
    },
}

/// The `needed` parts of a body.
pub fn read(body: &[u8], needed: usize) -> Result<Vec<String>, FormError> {
    if needed == 0 {
        return Ok(Vec::new());
    }
    let raw: Vec<&[u8]> = body.splitn(needed, |byte| *byte == b'&').collect();
    if body.is_empty() || raw.len() < needed {
        return Err(FormError::TooFew { needed });
    }
    let decoded = raw.iter().enumerate();
    decoded.map(|(at, part)| decode(part).ok_or(FormError::Encoding { part: at + 1 })).collect()
}

/// A body of these parts.
pub fn write(parts: &[&str]) -> String {
    parts.iter().map(|part| encode(part)).collect::<Vec<_>>().join("&")
}

/// One part, and also one segment of a path.
pub fn encode(part: &str) -> String {
    let mut out = String::new();
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn decode(part: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(part.len());
    let mut bytes = part.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => nibble(*bytes.next()?)? << 4 | nibble(*bytes.next()?)?,
            plain => *plain,
        });
    }
    String::from_utf8(out).ok()
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_as_a_real_member_reads_them() {
        let two = |body: &str| read(body.as_bytes(), 2);
        assert_eq!(two("dev&pw"), Ok(vec!["dev".into(), "pw".into()]));
        assert_eq!(two("dev&"), Ok(vec!["dev".into(), String::new()]));
        assert_eq!(two("dev&pw&more"), Ok(vec!["dev".into(), "pw&more".into()]));
        assert_eq!(two("d%65v&p+w"), Ok(vec!["dev".into(), "p w".into()]));
        for few in ["", "dev", r#"{"clusterName":"dev"}"#] {
            assert_eq!(two(few), Err(FormError::TooFew { needed: 2 }), "{few}");
        }
        assert_eq!(read(b"dev&pw", 3), Err(FormError::TooFew { needed: 3 }));
        assert_eq!(two("dev&%zz"), Err(FormError::Encoding { part: 2 }));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let parts = ["orders", "p%w+x &ö", "frozen"];
        assert_eq!(read(write(&parts).as_bytes(), 3).unwrap(), parts);
    }
}
