//! The dialect: a script of statements separated by `;`.
//!
//! `CREATE MAPPING name (column type, …) TYPE File|Generator|Map [OPTIONS ('k'='v', …)]`,
//! `CREATE JOB name [OPTIONS (…)] AS INSERT|SINK INTO map SELECT …`, `SELECT …`.
//! Law: what is left over after a statement is an error, never skipped.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, SelectItem, SetExpr};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Column, Mapping, MappingKind, SqlError};

/// Longest script that is looked at.
pub const MAX_SCRIPT_BYTES: usize = 256 * 1024;

/// One statement of a script.
#[derive(Debug, Clone)]
pub enum Statement {
    /// `CREATE [OR REPLACE] MAPPING …`
    CreateMapping(Mapping),
    /// `CREATE JOB …`
    CreateJob(CreateJob),
    /// `SELECT …`: a bounded read.
    Select(String),
}

/// A job as it was written.
#[derive(Debug, Clone)]
pub struct CreateJob {
    /// Name.
    pub name: String,
    /// Options, names in lower case.
    pub options: BTreeMap<String, String>,
    /// Map mapping that it writes to.
    pub sink: String,
    /// Columns named after the sink; empty means all in order.
    pub sink_columns: Vec<String>,
    /// The query, as text.
    pub query: String,
}

/// Reads a script.
pub fn parse(script: &str) -> Result<Vec<Statement>, SqlError> {
    if script.len() > MAX_SCRIPT_BYTES {
        return Err(SqlError::Syntax {
            reason: format!("the script has {} bytes, {MAX_SCRIPT_BYTES} are allowed", script.len()),
        });
    }
    let dialect = GenericDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(script).map_err(syntax)?;
    let mut statements = Vec::new();
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        if parser.peek_token().token == Token::EOF {
            return Ok(statements);
        }
        statements.push(statement(&mut parser)?);
        if !matches!(parser.peek_token().token, Token::SemiColon | Token::EOF) {
            return Err(SqlError::Syntax { reason: format!("expected ';' or the end, found {}", next(&parser)) });
        }
    }
}

fn statement(parser: &mut Parser) -> Result<Statement, SqlError> {
    if word(parser, "CREATE") {
        let _replace = word(parser, "OR") && word(parser, "REPLACE");
        let _external = word(parser, "EXTERNAL");
        if word(parser, "MAPPING") {
            return mapping(parser).map(Statement::CreateMapping);
        }
        if word(parser, "JOB") {
            return job(parser).map(Statement::CreateJob);
        }
        return Err(SqlError::unsupported(
            format!("CREATE {}", parser.peek_token()),
            "only mappings and jobs are created by SQL",
            "write CREATE MAPPING or CREATE JOB",
        ));
    }
    let first = parser.peek_token();
    match &first.token {
        Token::Word(w) if matches!(w.keyword, Keyword::SELECT | Keyword::WITH) => {
            Ok(Statement::Select(query(parser)?.to_string()))
        }
        Token::Word(w) if matches!(w.keyword, Keyword::INSERT) || w.value.eq_ignore_ascii_case("SINK") => {
            Err(SqlError::unsupported(
                format!("{} outside a job", w.value.to_uppercase()),
                "a streaming insert must have a name to be stopped and resumed",
                "write CREATE JOB name AS INSERT INTO …",
            ))
        }
        _ => Err(SqlError::unsupported(
            format!("statement at {first}"),
            "it is not part of the dialect",
            "write CREATE MAPPING, CREATE JOB or SELECT",
        )),
    }
}

fn mapping(parser: &mut Parser) -> Result<Mapping, SqlError> {
    if word(parser, "IF") {
        demand(parser, "NOT")?;
        demand(parser, "EXISTS")?;
    }
    let name = name(parser)?;
    let mut columns = Vec::new();
    if parser.consume_token(&Token::LParen) {
        loop {
            let column = ident(parser.parse_identifier().map_err(syntax)?);
            let sql_type = parser.parse_data_type().map_err(syntax)?.to_string();
            columns.push(Column { name: column, sql_type });
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        parser.expect_token(&Token::RParen).map_err(syntax)?;
    }
    demand(parser, "TYPE")?;
    let kind = ident(parser.parse_identifier().map_err(syntax)?);
    let kind = match kind.to_ascii_lowercase().as_str() {
        "file" => MappingKind::File,
        "generator" => MappingKind::Generator,
        "map" | "imap" => MappingKind::Map,
        other => {
            return Err(SqlError::unsupported(
                format!("mapping type '{other}'"),
                "there is no such connector",
                "use File, Generator or Map",
            ));
        }
    };
    let options = options(parser)?;
    Mapping { name, kind, columns, options }.checked()
}

fn job(parser: &mut Parser) -> Result<CreateJob, SqlError> {
    if word(parser, "IF") {
        demand(parser, "NOT")?;
        demand(parser, "EXISTS")?;
    }
    let nameless =
        matches!(&parser.peek_token().token, Token::Word(w) if w.quote_style.is_none() && w.keyword == Keyword::AS);
    if nameless {
        return Err(SqlError::unsupported(
            "CREATE JOB without a name",
            "a job must have one to be stopped and resumed",
            "write CREATE JOB name AS INSERT INTO …",
        ));
    }
    let name = name(parser)?;
    let options = options(parser)?;
    demand(parser, "AS")?;
    if !(word(parser, "INSERT") || word(parser, "SINK")) {
        return Err(SqlError::Syntax { reason: format!("expected INSERT INTO or SINK INTO, found {}", next(parser)) });
    }
    demand(parser, "INTO")?;
    let sink = self::name(parser)?;
    let mut sink_columns = Vec::new();
    if parser.peek_token().token == Token::LParen {
        parser.expect_token(&Token::LParen).map_err(syntax)?;
        loop {
            sink_columns.push(ident(parser.parse_identifier().map_err(syntax)?));
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        parser.expect_token(&Token::RParen).map_err(syntax)?;
    }
    let mut query = query(parser)?;
    name_columns(&mut query);
    let query = query.to_string();
    Ok(CreateJob { name, options, sink, sink_columns, query })
}

fn options(parser: &mut Parser) -> Result<BTreeMap<String, String>, SqlError> {
    let mut found = BTreeMap::new();
    if !word(parser, "OPTIONS") {
        return Ok(found);
    }
    parser.expect_token(&Token::LParen).map_err(syntax)?;
    while !parser.consume_token(&Token::RParen) {
        let key = text(parser)?.to_ascii_lowercase();
        parser.expect_token(&Token::Eq).map_err(syntax)?;
        let value = text(parser)?;
        if found.insert(key.clone(), value).is_some() {
            return Err(SqlError::Syntax { reason: format!("option '{key}' is given twice") });
        }
        if !parser.consume_token(&Token::Comma) && parser.peek_token().token != Token::RParen {
            return Err(SqlError::Syntax { reason: format!("expected ',' or ')' in OPTIONS, found {}", next(parser)) });
        }
    }
    Ok(found)
}

fn query(parser: &mut Parser) -> Result<Box<Query>, SqlError> {
    parser.parse_query().map_err(syntax)
}

/// Columns of an insert go by place; a name of their own keeps the planner from refusing two that look
/// alike, as `SUM(a)` and `SUM(CAST(a AS DOUBLE))`.
fn name_columns(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    for (place, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::new(format!("_{place}")) };
        }
    }
}

fn text(parser: &mut Parser) -> Result<String, SqlError> {
    let next = parser.next_token();
    match next.token {
        Token::SingleQuotedString(text) => Ok(text),
        Token::Number(number, _) => Ok(number),
        _ => Err(SqlError::Syntax { reason: format!("expected a text in single quotes, found {next}") }),
    }
}

pub(super) fn name(parser: &mut Parser) -> Result<String, SqlError> {
    let found = ident(parser.parse_identifier().map_err(syntax)?);
    let fine = !found.is_empty()
        && found.len() <= 128
        && found.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    if !fine {
        return Err(SqlError::Syntax {
            reason: format!("name '{found}': letters, digits, '_', '-', '.' and at most 128 of them"),
        });
    }
    Ok(found)
}

fn ident(ident: Ident) -> String {
    if ident.quote_style.is_some() { ident.value } else { ident.value.to_ascii_lowercase() }
}

pub(super) fn word(parser: &mut Parser, wanted: &str) -> bool {
    let found = matches!(&parser.peek_token().token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(wanted));
    if found {
        parser.next_token();
    }
    found
}

/// The next word, and where it stands.
pub(super) fn next(parser: &Parser) -> String {
    let next = parser.peek_token();
    format!("{next}{}", next.span.start)
}

pub(super) fn demand(parser: &mut Parser, wanted: &str) -> Result<(), SqlError> {
    if word(parser, wanted) {
        return Ok(());
    }
    Err(SqlError::Syntax { reason: format!("expected {wanted}, found {}", next(parser)) })
}

pub(super) fn syntax(error: ParserError) -> SqlError {
    SqlError::Syntax { reason: error.to_string() }
}
