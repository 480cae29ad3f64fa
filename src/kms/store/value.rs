//! What goes into the database and what comes out of it: the four kinds of value that SQLite and PostgreSQL both have.
//!
//! Keys are in here only as they are stored, which is sealed.

use std::sync::Arc;

use super::StoreError;
use crate::kad::KeyId;

/// A value of a column, or of a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) enum Value {
    /// None at all.
    Null,
    /// A number, a time in milliseconds, or 0 and 1 for no and yes.
    Integer(i64),
    /// UTF-8.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

/// The names of a result's columns, shared by its rows.
pub(super) type Columns = Arc<[String]>;

/// One row of a result.
#[derive(Debug, Clone)]
pub(in crate::kms) struct Row {
    columns: Columns,
    values: Vec<Value>,
}

impl Row {
    pub(super) fn new(columns: Columns, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// The value of `column`.
    ///
    /// # Errors
    /// [`StoreError::Column`] if there is no such column, or its value is of another kind or length.
    pub(in crate::kms) fn get<T: FromValue>(&self, column: &str) -> Result<T, StoreError> {
        let place = self.columns.iter().position(|name| name == column);
        place
            .and_then(|place| self.values.get(place))
            .and_then(T::from_value)
            .ok_or_else(|| StoreError::Column {
                column: column.to_owned(),
            })
    }
}

impl Row {
    /// The names of its columns.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Its values in the same order.
    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }
}

/// As it is.
impl FromValue for Value {
    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

/// What a column's value can be read as.
pub(in crate::kms) trait FromValue: Sized {
    /// The value, if it is one of these.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

/// A count; never negative.
impl FromValue for u64 {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).and_then(|number| Self::try_from(number).ok())
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(0) => Some(false),
            Value::Integer(1) => Some(true),
            _ => None,
        }
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }
}

impl<const LENGTH: usize> FromValue for [u8; LENGTH] {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => bytes.as_slice().try_into().ok(),
            _ => None,
        }
    }
}

impl FromValue for KeyId {
    fn from_value(value: &Value) -> Option<Self> {
        <[u8; 16]>::from_value(value).map(Self)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

/// As a number that orders the same; what does not fit is the largest.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Limits and counts; what does not fit is the largest.
impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Integer(i64::from(yes))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<const LENGTH: usize> From<[u8; LENGTH]> for Value {
    fn from(bytes: [u8; LENGTH]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<KeyId> for Value {
    fn from(id: KeyId) -> Self {
        id.0.into()
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: Value) -> Row {
        Row::new(["a".to_owned()].into(), vec![value])
    }

    #[test]
    fn what_goes_in_comes_out() {
        assert_eq!(row(7_i64.into()).get::<i64>("a").unwrap(), 7);
        assert!(row(true.into()).get::<bool>("a").unwrap());
        assert_eq!(row("text".into()).get::<String>("a").unwrap(), "text");
        assert_eq!(row([1, 2].into()).get::<[u8; 2]>("a").unwrap(), [1, 2]);
        assert_eq!(row(KeyId([3; 16]).into()).get::<KeyId>("a").unwrap(), KeyId([3; 16]));
        assert_eq!(row(None::<i64>.into()).get::<Option<i64>>("a").unwrap(), None);
        assert_eq!(row(Some(1_i64).into()).get::<Option<i64>>("a").unwrap(), Some(1));
        assert_eq!(row(u64::MAX.into()).get::<u64>("a").unwrap(), i64::MAX.unsigned_abs());
    }

    #[test]
    fn another_kind_another_length_and_another_column_are_named() {
        for wrong in [
            row("7".into()).get::<i64>("a").err(),
            row((-1_i64).into()).get::<u64>("a").err(),
            row(2_i64.into()).get::<bool>("a").err(),
            row([1, 2, 3].into()).get::<[u8; 2]>("a").err(),
            row(Value::Null).get::<String>("a").err(),
        ] {
            assert!(wrong.unwrap().to_string().starts_with("column a "));
        }
        assert!(
            row(Value::Null)
                .get::<Option<i64>>("b")
                .unwrap_err()
                .to_string()
                .starts_with("column b ")
        );
    }
}
