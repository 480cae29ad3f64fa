//! The same tables and statements as PostgreSQL takes them, and the values of both sides of its wire.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::value::Value;

/// What SQLite calls a thing and what PostgreSQL does. Text compares by its bytes everywhere.
const WORDS: &[(&str, &str)] = &[("INTEGER", "BIGINT"), ("BLOB", "BYTEA"), ("TEXT", "TEXT COLLATE \"C\"")];

/// Table definitions of SQLite for PostgreSQL.
pub(super) fn tables(sqlite: &str) -> String {
    let mut text = String::with_capacity(sqlite.len() * 2);
    for line in sqlite.lines() {
        match line {
            ") STRICT;" | ") STRICT, WITHOUT ROWID;" => text.push_str(");"),
            comment if comment.starts_with("--") => continue,
            line => text.push_str(&types(line)),
        }
        text.push('\n');
    }
    text
}

fn types(line: &str) -> String {
    let word = |word: &str| {
        let known = WORDS.iter().find(|(sqlite, _)| *sqlite == word);
        known.map_or(word, |(_, postgresql)| postgresql).to_owned()
    };
    // Nothing but names of types is written like one, with blanks or the line's end around it.
    let mut words = Vec::new();
    for part in line.split(' ') {
        let bare = part.trim_end_matches(',');
        words.push(format!("{}{}", word(bare), part.get(bare.len()..).unwrap_or_default()));
    }
    words.join(" ")
}

/// A statement with `?1` as one with `$1`.
pub(super) fn placeholders(sql: &str) -> String {
    let mut in_text = false;
    sql.chars()
        .map(|letter| match letter {
            '\'' => {
                in_text = !in_text;
                letter
            }
            '?' if !in_text => '$',
            letter => letter,
        })
        .collect()
}

/// What the server is told that a placeholder holds: only a null leaves it to the server.
pub(super) fn type_of(value: &Value) -> Type {
    match value {
        Value::Null => Type::UNKNOWN,
        Value::Integer(_) => Type::INT8,
        Value::Text(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTEA,
    }
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(match *kind {
            Type::BOOL => Self::Integer(i64::from(bool::from_sql(kind, raw)?)),
            Type::INT4 => Self::Integer(i64::from(i32::from_sql(kind, raw)?)),
            Type::INT8 => Self::Integer(i64::from_sql(kind, raw)?),
            Type::BYTEA => Self::Bytes(raw.to_vec()),
            _ => Self::Text(String::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(
            *kind,
            Type::BOOL | Type::INT4 | Type::INT8 | Type::BYTEA | Type::TEXT | Type::VARCHAR
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::TABLES;
    use super::*;

    #[test]
    fn the_tables_keep_their_columns_and_lose_what_is_of_sqlite() {
        let translated = tables(TABLES);
        for word in ["STRICT", "ROWID", "BLOB", "INTEGER", "--"] {
            assert!(!translated.contains(word), "{word} is left: {translated}");
        }
        assert!(translated.contains("    name TEXT COLLATE \"C\" NOT NULL UNIQUE,\n"));
        assert!(translated.contains("    foreign_kad BYTEA,\n"));
        assert!(translated.contains("    sequence BIGINT PRIMARY KEY,\n"));
        let columns = |text: &str| text.matches(",\n").count();
        assert_eq!(columns(&translated), columns(TABLES));
    }

    #[test]
    fn placeholders_are_numbered_the_other_way_but_texts_stay() {
        assert_eq!(
            placeholders("SELECT '?1', a FROM b WHERE c = ?1 AND d > ?12"),
            "SELECT '?1', a FROM b WHERE c = $1 AND d > $12"
        );
    }
}
