//! Predicates in words: what stands behind the `WHERE` of a question to one map.
//!
//! Law: read as SQL reads its conditions, by a parser of SQL, with what this dialect has of its own: `==`, `ILIKE`, `REGEX`,
//! `[any]`, `= NULL`, and texts without quotes. What else SQL has is refused. Must not know: how a predicate is asked.

use sqlparser::ast::{AccessExpr, BinaryOperator, Expr, Subscript, UnaryOperator, Value, ValueWithSpan};
use sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::Refused;
use crate::item::Item;
use crate::path::Path;
use crate::pattern::Pattern;
use crate::predicate::{Predicate, Test};

/// Bytes of a predicate in words.
const WORDS_MOST: usize = 64 << 10;
/// Names, operators and brackets of one. The parser puts each row of operators into a tree as deep as the row is long, and
/// what is that deep may not be deeper than the stack; values in a list do not count.
const SIGNS_MOST: usize = 1_000;
/// An operator that the parser does not know.
const REGEX: &str = "REGEX";

/// The predicate that they say.
pub fn read(words: &str) -> Result<Predicate, Refused> {
    if words.len() > WORDS_MOST {
        return Err(Refused::TooMuch { what: "the length of a predicate in words", most: WORDS_MOST });
    }
    let refuse = |why: String| Refused::Words { words: words.to_owned(), why };
    let tokens = Tokenizer::new(&Words, words).tokenize_with_location().map_err(|error| refuse(error.to_string()))?;
    if tokens.iter().filter(|token| is_sign(&token.token)).count() > SIGNS_MOST {
        return Err(Refused::TooMuch {
            what: "names, operators and brackets of a predicate in words",
            most: SIGNS_MOST,
        });
    }
    let mut parser = Parser::new(&Words).with_tokens_with_locations(tokens);
    let expression = parser.parse_expr().map_err(|error| refuse(error.to_string()))?;
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        return Err(refuse(format!("'{rest}' is not expected there")));
    }
    condition(&expression).map_err(|why| match why {
        Unsaid::Because(why) => refuse(why),
        Unsaid::Refused(refused) => refused,
    })
}

fn is_sign(token: &Token) -> bool {
    !matches!(token, Token::Whitespace(_) | Token::Comma | Token::Number(..) | Token::SingleQuotedString(_))
}

/// The dialect.
#[derive(Debug)]
struct Words;

impl Dialect for Words {
    fn is_identifier_start(&self, letter: char) -> bool {
        GenericDialect {}.is_identifier_start(letter)
    }

    fn is_identifier_part(&self, letter: char) -> bool {
        GenericDialect {}.is_identifier_part(letter)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        is_regex(parser).then(|| Ok(self.prec_value(Precedence::Like)))
    }

    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        if !is_regex(parser) {
            return None;
        }
        parser.next_token();
        Some(parser.parse_subexpr(precedence).map(|pattern| Expr::RLike {
            negated: false,
            expr: Box::new(expr.clone()),
            pattern: Box::new(pattern),
            regexp: true,
        }))
    }
}

fn is_regex(parser: &Parser) -> bool {
    matches!(&parser.peek_token_ref().token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(REGEX))
}

/// Why an expression is no predicate.
enum Unsaid {
    Because(String),
    Refused(Refused),
}

impl From<Refused> for Unsaid {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

fn condition(expression: &Expr) -> Result<Predicate, Unsaid> {
    let negated = |no: bool, predicate: Predicate| if no { Predicate::Not(Box::new(predicate)) } else { predicate };
    Ok(match expression {
        Expr::Nested(inner) => condition(inner)?,
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => negated(true, condition(expr)?),
        Expr::BinaryOp { op: BinaryOperator::And, .. } => Predicate::And(row(expression, &BinaryOperator::And)?),
        Expr::BinaryOp { op: BinaryOperator::Or, .. } => Predicate::Or(row(expression, &BinaryOperator::Or)?),
        Expr::BinaryOp { left, op, right } => compared(left, op, right)?,
        Expr::Between { expr, negated: no, low, high } => {
            negated(*no, Predicate::Of(path(expr)?, Test::Between(item(low)?, item(high)?)))
        }
        Expr::InList { expr, list, negated: no } => {
            let items = list.iter().map(item).collect::<Result<_, _>>()?;
            negated(*no, Predicate::Of(path(expr)?, Test::In(items)))
        }
        Expr::Like { negated: no, any: false, expr, pattern, escape_char: None } => {
            negated(*no, Predicate::Of(path(expr)?, like(pattern, false)?))
        }
        Expr::ILike { negated: no, any: false, expr, pattern, escape_char: None } => {
            negated(*no, Predicate::Of(path(expr)?, like(pattern, true)?))
        }
        Expr::RLike { negated: no, expr, pattern, .. } => {
            let pattern = text(pattern)?.map(|pattern| Pattern::regex(&pattern)).transpose()?;
            negated(*no, Predicate::Of(path(expr)?, Test::Like(pattern)))
        }
        Expr::Value(ValueWithSpan { value: Value::Boolean(yes), .. }) => Predicate::Always(*yes),
        // An attribute alone: it is true.
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => {
            Predicate::Of(path(expression)?, Test::Equal(Item::Boolean(true)))
        }
        other => return Err(Unsaid::Because(format!("'{other}' is no condition here"))),
    })
}

/// A row of one operator, which the parser has put to the left again and again.
fn row(mut expression: &Expr, of: &BinaryOperator) -> Result<Vec<Predicate>, Unsaid> {
    let mut all = Vec::new();
    while let Expr::BinaryOp { left, op, right } = expression
        && op == of
    {
        all.push(condition(right)?);
        expression = left;
    }
    all.push(condition(expression)?);
    all.reverse();
    Ok(all)
}

fn compared(left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Predicate, Unsaid> {
    let than = |less, or_equal| Ok::<_, Unsaid>(Test::Than { item: item(right)?, less, or_equal });
    let path = path(left)?;
    Ok(Predicate::Of(
        path.clone(),
        match op {
            BinaryOperator::Eq => Test::Equal(item(right)?),
            BinaryOperator::NotEq => {
                return Ok(Predicate::Not(Box::new(Predicate::Of(path, Test::Equal(item(right)?)))));
            }
            BinaryOperator::Lt => than(true, false)?,
            BinaryOperator::LtEq => than(true, true)?,
            BinaryOperator::Gt => than(false, false)?,
            BinaryOperator::GtEq => than(false, true)?,
            other => return Err(Unsaid::Because(format!("'{other}' is no comparison here"))),
        },
    ))
}

fn like(pattern: &Expr, any_case: bool) -> Result<Test, Unsaid> {
    Ok(Test::Like(text(pattern)?.map(|pattern| Pattern::like(&pattern, any_case)).transpose()?))
}

fn text(expression: &Expr) -> Result<Option<String>, Unsaid> {
    match item(expression)? {
        Item::Text(text) => Ok(Some(text.to_string())),
        Item::Null => Ok(None),
        _ => Err(Unsaid::Because(format!("'{expression}' is no pattern of texts"))),
    }
}

/// A value. Whatever is written is text; the type of the attribute says what it means.
fn item(expression: &Expr) -> Result<Item, Unsaid> {
    let written = match expression {
        Expr::Nested(inner) => return item(inner),
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            Value::Null => return Ok(Item::Null),
            Value::Boolean(yes) => yes.to_string(),
            Value::Number(number, _) => number.clone(),
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            other => return Err(Unsaid::Because(format!("'{other}' is no value here"))),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match item(expr)? {
            Item::Text(number) => format!("-{number}"),
            _ => return Err(Unsaid::Because(format!("'{expression}' is no value here"))),
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => return item(expr),
        Expr::Identifier(word) => word.value.clone(),
        other => return Err(Unsaid::Because(format!("'{other}' is no value here"))),
    };
    Ok(Item::Text(written.into()))
}

/// An attribute.
fn path(expression: &Expr) -> Result<Path, Unsaid> {
    let mut written = String::new();
    name(expression, &mut written)?;
    Ok(Path::read(&written)?)
}

fn name(expression: &Expr, out: &mut String) -> Result<(), Unsaid> {
    let dot = |out: &mut String| {
        if !out.is_empty() {
            out.push('.');
        }
    };
    match expression {
        Expr::Identifier(word) => {
            dot(out);
            out.push_str(&word.value);
        }
        Expr::CompoundIdentifier(words) => words.iter().for_each(|word| {
            dot(out);
            out.push_str(&word.value);
        }),
        Expr::CompoundFieldAccess { root, access_chain } => {
            name(root, out)?;
            for access in access_chain {
                match access {
                    AccessExpr::Dot(next) => name(next, out)?,
                    AccessExpr::Subscript(Subscript::Index { index }) => out.push_str(&format!("[{index}]")),
                    AccessExpr::Subscript(slice) => {
                        return Err(Unsaid::Because(format!("'{slice}' names no item of a list")));
                    }
                }
            }
        }
        other => {
            return Err(Unsaid::Because(format!(
                "'{other}' is no attribute: it stands on the left, its value on the right"
            )));
        }
    }
    Ok(())
}
