//! Patterns of texts: `LIKE`, and regular expressions.
//!
//! Law: a pattern is made once, within a bound of memory, and takes time by the length of the text; a construct that
//! could not be kept to that (what is looked at before or behind, what is found a second time) is refused.
//! Must not know: attributes.

use regex::{Regex, RegexBuilder};

use crate::Refused;

/// Bytes of a pattern as it came.
const PATTERN_MOST: usize = 4 << 10;
/// Bytes of a pattern as it is kept.
const MADE_MOST: usize = 1 << 20;

/// A pattern of a whole text.
#[derive(Debug, Clone)]
pub struct Pattern {
    made: Regex,
}

impl Pattern {
    /// `%` stands for any text, `_` for any character, a backslash before one of them for itself.
    pub fn like(pattern: &str, any_case: bool) -> Result<Self, Refused> {
        let mut expression = String::new();
        let mut letters = pattern.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '%' => expression.push_str(".*"),
                '_' => expression.push('.'),
                '\\' if letters.peek().is_some_and(|next| "%_\\".contains(*next)) => {
                    expression.push_str(&regex::escape(&letters.next().into_iter().collect::<String>()));
                }
                other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
            }
        }
        Self::made(pattern, &expression, any_case, true)
    }

    /// A regular expression.
    pub fn regex(pattern: &str) -> Result<Self, Refused> {
        Self::made(pattern, pattern, false, false)
    }

    fn made(pattern: &str, expression: &str, any_case: bool, over_lines: bool) -> Result<Self, Refused> {
        if pattern.len() > PATTERN_MOST {
            return Err(Refused::TooMuch { what: "the length of a pattern", most: PATTERN_MOST });
        }
        let mut builder = RegexBuilder::new(&format!(r"\A(?:{expression})\z"));
        let made = builder.case_insensitive(any_case).dot_matches_new_line(over_lines).size_limit(MADE_MOST).build();
        let why = |why: regex::Error| match why {
            regex::Error::CompiledTooBig(most) => format!("it takes more than {most} bytes"),
            // The last line says it; those before show the pattern with what was put around it.
            other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        };
        made.map(|made| Self { made })
            .map_err(|error| Refused::Pattern { pattern: pattern.to_owned(), why: why(error) })
    }

    /// Whether all of `text` is so.
    pub fn holds(&self, text: &str) -> bool {
        self.made.is_match(text)
    }
}
