//! Statements of a person to a cluster that runs: mappings that are kept, and what is done with jobs. And values that are
//! put into a statement.
//!
//! `SHOW JOBS|MAPPINGS`, `DROP JOB|MAPPING [IF EXISTS] name`, `ALTER JOB name SUSPEND|RESUME`,
//! `CREATE [OR REPLACE] MAPPING …` alone. Law: a value that is put in is one value, whatever it contains. Must not know:
//! jobs, where mappings are kept.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::statement::{MAX_SCRIPT_BYTES, demand, name, next, syntax, word};
use super::{Mapping, MappingKind, SqlError, Statement, parse};

/// Operators and brackets of a statement with values. A row of operators is planned as a tree as deep as the row is long,
/// and may not be deeper than the stack of a thread; names, values and commas do not count.
const OPERATORS_MOST: usize = 400;

/// Such a statement.
#[derive(Debug, Clone)]
pub enum Control {
    /// A mapping is kept under its name.
    CreateMapping {
        /// It.
        mapping: Mapping,
        /// In the place of another one.
        replace: bool,
        /// If there is none.
        if_absent: bool,
    },
    /// It is not kept any more.
    DropMapping {
        /// Its name.
        name: String,
        /// If it is.
        if_there: bool,
    },
    /// A job ends for good.
    DropJob {
        /// Its name.
        name: String,
        /// If there is one.
        if_there: bool,
    },
    /// A job stops with its state.
    Suspend(String),
    /// And goes on.
    Resume(String),
    /// Names of jobs.
    ShowJobs,
    /// Names of mappings.
    ShowMappings,
}

/// Nothing: it is something else.
pub fn control(script: &str) -> Result<Option<Control>, SqlError> {
    if script.len() > MAX_SCRIPT_BYTES {
        return Ok(None);
    }
    let mut parser = Parser::new(&GenericDialect {}).try_with_sql(script).map_err(syntax)?;
    let parser = &mut parser;
    let found = if word(parser, "SHOW") {
        show(parser)?
    } else if word(parser, "DROP") {
        drop_(parser)?
    } else if word(parser, "ALTER") {
        demand(parser, "JOB")?;
        let name = name(parser)?;
        match word(parser, "SUSPEND") {
            true => Control::Suspend(name),
            false => demand(parser, "RESUME").map(|()| Control::Resume(name))?,
        }
    } else {
        return mapping(parser, script);
    };
    while parser.consume_token(&Token::SemiColon) {}
    match parser.peek_token().token {
        Token::EOF => Ok(Some(found)),
        _ => Err(SqlError::Syntax { reason: format!("expected the end, found {}", next(parser)) }),
    }
}

fn show(parser: &mut Parser) -> Result<Control, SqlError> {
    match word(parser, "JOBS") {
        true => Ok(Control::ShowJobs),
        false => demand(parser, "MAPPINGS").map(|()| Control::ShowMappings),
    }
}

fn drop_(parser: &mut Parser) -> Result<Control, SqlError> {
    let of_job = word(parser, "JOB");
    if !of_job {
        let _external = word(parser, "EXTERNAL");
        demand(parser, "MAPPING")?;
    }
    let if_there = word(parser, "IF");
    if if_there {
        demand(parser, "EXISTS")?;
    }
    let name = name(parser)?;
    Ok(if of_job { Control::DropJob { name, if_there } } else { Control::DropMapping { name, if_there } })
}

fn mapping(parser: &mut Parser, script: &str) -> Result<Option<Control>, SqlError> {
    if !word(parser, "CREATE") {
        return Ok(None);
    }
    let replace = word(parser, "OR") && word(parser, "REPLACE");
    let _external = word(parser, "EXTERNAL");
    if !word(parser, "MAPPING") {
        return Ok(None);
    }
    let if_absent = word(parser, "IF");
    let mut statements = parse(script)?;
    Ok(match (statements.pop(), statements.is_empty()) {
        (Some(Statement::CreateMapping(mapping)), true) => Some(Control::CreateMapping { mapping, replace, if_absent }),
        _ => None,
    })
}

/// A value in the words of a statement; nothing for a null.
pub fn literal(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".into(), |text| format!("'{}'", text.replace('\'', "''")))
}

/// A statement with `values`, in words, in the place of its question marks.
pub fn bind(script: &str, values: &[String]) -> Result<String, SqlError> {
    if script.len() > MAX_SCRIPT_BYTES {
        return Err(SqlError::Syntax { reason: format!("the script has more than {MAX_SCRIPT_BYTES} bytes") });
    }
    let tokens = Tokenizer::new(&GenericDialect {}, script).tokenize_with_location();
    let tokens = tokens.map_err(|error| SqlError::Syntax { reason: error.to_string() })?;
    if tokens.iter().filter(|token| is_operator(&token.token)).count() > OPERATORS_MOST {
        let reason = format!("it has more than {OPERATORS_MOST} operators and brackets");
        return Err(SqlError::unsupported("so long a statement", reason, "ask for less at once; IN takes a long list"));
    }
    let marks: Vec<_> = tokens.iter().filter(|token| token.token == Token::Placeholder("?".into())).collect();
    if marks.len() != values.len() {
        let reason = format!("it has {} parameters and {} are given", marks.len(), values.len());
        return Err(SqlError::Syntax { reason });
    }
    let lines: Vec<&str> = script.split('\n').collect();
    let (mut bound, mut places) = (String::new(), marks.iter().zip(values).peekable());
    for (line, text) in (1..).zip(lines) {
        if line > 1 {
            bound.push('\n');
        }
        for (column, letter) in (1..).zip(text.chars()) {
            let here = |(mark, _): &(&&_, &String)| at(mark) == (line, column);
            match places.next_if(here) {
                Some((_, value)) => bound.push_str(value),
                None => bound.push(letter),
            }
        }
    }
    match places.next() {
        None => Ok(bound),
        Some(_) => Err(SqlError::Syntax { reason: "a parameter stands where none can be".into() }),
    }
}

fn is_operator(token: &Token) -> bool {
    let leaf =
        matches!(token, Token::Whitespace(_) | Token::Comma | Token::Period | Token::SemiColon | Token::Number(..));
    let text = matches!(token, Token::SingleQuotedString(_) | Token::Placeholder(_));
    match token {
        Token::Word(word) => ["AND", "OR", "NOT", "CASE"].iter().any(|own| word.value.eq_ignore_ascii_case(own)),
        _ => !leaf && !text,
    }
}

fn at(token: &datafusion::sql::sqlparser::tokenizer::TokenWithSpan) -> (u64, u64) {
    (token.span.start.line, token.span.start.column)
}

impl Mapping {
    /// The statement that makes it.
    pub fn ddl(&self) -> String {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let columns: Vec<_> = self.columns.iter().map(|c| format!("{} {}", quoted(&c.name), c.sql_type)).collect();
        let kind = match self.kind {
            MappingKind::File => "File",
            MappingKind::Generator => "Generator",
            MappingKind::Map => "Map",
        };
        let option = |(name, value): (&String, &String)| format!("{}={}", literal(Some(name)), literal(Some(value)));
        let options: Vec<_> = self.options.iter().map(option).collect();
        let name = quoted(&self.name);
        format!(
            "CREATE OR REPLACE MAPPING {name} ({}) TYPE {kind} OPTIONS ({})",
            columns.join(", "),
            options.join(", ")
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_put_in_is_one_value_whatever_it_contains() {
        let value = literal(Some("it's ? -- \n '"));
        let bound = bind("SELECT '?', \"?\", 'größe', ? -- ?\n, ?", &[value.clone(), "2".into()]).unwrap();
        assert_eq!(bound, format!("SELECT '?', \"?\", 'größe', {value} -- ?\n, 2"));
        assert!(bind("SELECT ?", &[]).is_err());
        assert!(bind("SELECT 1", &["1".into()]).is_err());
    }

    #[tokio::test]
    async fn a_statement_is_not_deeper_than_the_stack() {
        for (row, by) in [(399, "+"), (399, " OR 1 = "), (100, " AND NOT 1 = "), (5_000, "+")] {
            let script = format!("SELECT 1 = 1 AS a WHERE 1 = {}", vec!["1"; row].join(by));
            let Ok(bound) = bind(&script, &[]) else { continue };
            assert!(row < 400);
            let _ = super::super::run_bounded(&bound, Vec::new(), 10).await;
        }
        let brackets = format!("SELECT {}1{}", "(".repeat(190), ")".repeat(190));
        let _ = super::super::run_bounded(&bind(&brackets, &[]).unwrap(), Vec::new(), 10).await;
        let list = (0..9_000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        assert!(bind(&format!("SELECT 1 WHERE 1 IN ({list})"), &[]).is_ok());
    }

    #[test]
    fn statements_to_a_cluster_are_told_from_others() {
        let said = |script: &str| control(script).unwrap().map(|found| format!("{found:?}"));
        assert_eq!(said("show jobs;").as_deref(), Some("ShowJobs"));
        assert_eq!(said("SHOW MAPPINGS").as_deref(), Some("ShowMappings"));
        assert_eq!(said("ALTER JOB a SUSPEND").as_deref(), Some("Suspend(\"a\")"));
        assert_eq!(said("ALTER JOB \"A\" RESUME;").as_deref(), Some("Resume(\"A\")"));
        assert_eq!(said("DROP JOB IF EXISTS a").as_deref(), Some("DropJob { name: \"a\", if_there: true }"));
        assert_eq!(said("DROP MAPPING a").as_deref(), Some("DropMapping { name: \"a\", if_there: false }"));
        assert_eq!(said("SELECT 1"), None);
        let made = "CREATE OR REPLACE MAPPING m (k BIGINT) TYPE Map OPTIONS ('key'='k')";
        assert!(said(made).is_some_and(|said| said.contains("replace: true")));
        assert_eq!(said(&format!("{made}; SELECT 1")), None);
        for bad in ["SHOW", "DROP JOB", "ALTER JOB a", "SHOW JOBS x"] {
            assert!(control(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mapping_is_made_again_by_its_statement() {
        let made = |sql: &str| match parse(sql).unwrap().pop() {
            Some(Statement::CreateMapping(mapping)) => mapping,
            other => panic!("{other:?}"),
        };
        let mapping = made("CREATE MAPPING \"M.x\" (\"a b\" DECIMAL(10,2), c VARCHAR) TYPE Map OPTIONS ('key'='c')");
        let again = made(&mapping.ddl());
        assert_eq!(again, mapping);
    }
}
