//! How a call ended, and the exit code that tells it.
//!
//! Law: without `--strict` every answer that came is 0, as in the original; what did not come is curl's code in any case.
//! Must not know: what was asked.

use jet_admin_api::rest::client::NoAnswer;

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It is so.
    Done,
    /// What was asked for makes no sense.
    Invalid,
    /// The member said no, or it did not come about.
    Failed,
    /// Cluster name or password is wrong.
    NotPermitted,
    /// Options that contradict each other; always an exit code.
    Usage,
    /// There was no answer.
    NoAnswer(NoAnswer),
}

const INVALID: u8 = 2;
const FAILED: u8 = 3;
const NOT_PERMITTED: u8 = 4;

impl End {
    /// The exit code.
    pub fn code(&self, strict: bool) -> u8 {
        match self {
            End::Usage => INVALID,
            End::NoAnswer(why) => curl_code(why).unwrap_or(if strict { FAILED } else { 0 }),
            _ if !strict => 0,
            End::Done => 0,
            End::Invalid => INVALID,
            End::Failed => FAILED,
            End::NotPermitted => NOT_PERMITTED,
        }
    }
}

/// `None`: an answer came, and cannot be understood.
pub fn curl_code(why: &NoAnswer) -> Option<u8> {
    match why {
        NoAnswer::NotConnected { .. } => Some(7),
        NoAnswer::Late { .. } => Some(28),
        NoAnswer::Tls { .. } => Some(35),
        NoAnswer::Empty { .. } => Some(52),
        NoAnswer::Broken { .. } => Some(56),
        NoAnswer::Strange { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn exit_codes_are_the_originals_and_strict_ones_tell_more() {
        let (address, reason) = (String::from("a:1"), String::new());
        for (end, plain, strict) in [
            (End::Done, 0, 0),
            (End::Invalid, 0, 2),
            (End::Failed, 0, 3),
            (End::NotPermitted, 0, 4),
            (End::Usage, 2, 2),
            (End::NoAnswer(NoAnswer::NotConnected { address: address.clone(), reason: reason.clone() }), 7, 7),
            (End::NoAnswer(NoAnswer::Late { address: address.clone(), within: Duration::ZERO }), 28, 28),
            (End::NoAnswer(NoAnswer::Tls { address: address.clone(), reason: reason.clone() }), 35, 35),
            (End::NoAnswer(NoAnswer::Empty { address: address.clone() }), 52, 52),
            (End::NoAnswer(NoAnswer::Broken { address: address.clone(), reason: reason.clone() }), 56, 56),
            (End::NoAnswer(NoAnswer::Strange { address, status: 404, body: reason }), 0, 3),
        ] {
            assert_eq!((end.code(false), end.code(true)), (plain, strict), "{end:?}");
        }
    }
}
