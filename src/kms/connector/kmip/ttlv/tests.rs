//! Messages that are right, messages that are nearly right, and messages that are nothing of the kind.

use proptest::prelude::*;

use super::super::write::Writer;
use super::*;

/// Whether a value is the one that is meant.
type IsIt = fn(&Value<'_>) -> bool;

/// Examples of the KMIP specification, "Examples" of the TTLV encoding: one field of each type.
const EXAMPLES: [(&str, IsIt); 10] = [
    ("42002002000000040000000800000000", |value| {
        matches!(value, Value::Integer(8))
    }),
    ("420020030000000801B69B4BA5749200", |value| {
        matches!(value, Value::LongInteger(123_456_789_000_000_000))
    }),
    (
        "42002004000000100000000003FD35EB6BC2DF4618080000",
        |value| matches!(value, Value::Other { kind: 4, bytes } if bytes.len() == 16),
    ),
    ("4200200500000004000000FF00000000", |value| {
        matches!(value, Value::Enumeration(255))
    }),
    ("42002006000000080000000000000001", |value| {
        matches!(value, Value::Boolean(true))
    }),
    ("420020070000000B48656C6C6F20576F726C640000000000", |value| {
        matches!(value, Value::Text("Hello World"))
    }),
    ("42002008000000030102030000000000", |value| {
        matches!(value, Value::Bytes([1, 2, 3]))
    }),
    ("4200200900000008 0000000047DA67F8", |value| {
        matches!(value, Value::DateTime(0x47DA_67F8))
    }),
    (
        "4200200A00000004000D2F0000000000",
        |value| matches!(value, Value::Other { kind: 0x0A, bytes } if bytes.len() == 4),
    ),
    (
        "42002001000000204200040500000004000000FE000000004200050200000004000000FF00000000",
        |value| {
            matches!(value, Value::Structure(fields) if fields.len() == 2
                && matches!(fields[0], Element { tag: Tag(0x42_0004), value: Value::Enumeration(254) })
                && matches!(fields[1], Element { tag: Tag(0x42_0005), value: Value::Integer(255) }))
        },
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap()
}

#[test]
fn reads_the_examples_of_the_specification() {
    for (example, is_right) in EXAMPLES {
        let message = bytes(example);
        let element = decode(&message).ok().unwrap();
        assert!(element.tag == Tag(0x42_0020) && is_right(&element.value), "{example}");
    }
}

#[test]
fn writes_the_examples_of_the_specification() {
    let tag = Tag(0x42_0020);
    type Write = fn(&mut Writer, Tag);
    let written: [(usize, Write); 5] = [
        (0, |writer, tag| writer.integer(tag, 8)),
        (3, |writer, tag| writer.enumeration(tag, 255)),
        (5, |writer, tag| writer.text(tag, "Hello World")),
        (6, |writer, tag| writer.bytes(tag, &[1, 2, 3])),
        (9, |writer, tag| {
            writer.structure(tag, |writer| {
                writer.enumeration(Tag(0x42_0004), 254);
                writer.integer(Tag(0x42_0005), 255);
            });
        }),
    ];
    for (example, write) in written {
        let mut writer = Writer::default();
        write(&mut writer, tag);
        assert_eq!(writer.into_bytes(), bytes(EXAMPLES[example].0));
    }
}

#[test]
fn refuses_every_message_that_is_cut_or_too_long_by_a_byte() {
    for (example, _) in EXAMPLES {
        let mut message = bytes(example);
        for length in 0..message.len() {
            assert!(decode(&message[..length]).is_err(), "{example} cut to {length} bytes");
        }
        message.push(0);
        assert_eq!(decode(&message).err(), Some(TtlvError::TrailingBytes { left: 1 }));
    }
}

#[test]
fn keeps_what_it_does_not_know() {
    let unknown = bytes("54FFFF7F00000003AABBCC0000000000");
    let element = decode(&unknown).ok().unwrap();
    assert!(
        element.tag == Tag(0x54_FFFF)
            && matches!(
                element.value,
                Value::Other {
                    kind: 0x7F,
                    bytes: [0xAA, 0xBB, 0xCC]
                }
            )
    );
    let latin = bytes("4200200700000001FC00000000000000");
    assert!(
        decode(&latin).ok().unwrap().text().is_none(),
        "text that is no UTF-8 is no text"
    );
}

#[test]
fn holds_lengths_against_what_is_there_and_fixed_types_against_their_length() {
    let lying = bytes("42002008FFFFFFFF0000000000000000");
    assert!(matches!(decode(&lying).err(), Some(TtlvError::Truncated { at: 0, .. })));
    let beyond = bytes("4200200100000010 4200200800000020 0000000000000000");
    assert!(matches!(
        decode(&beyond).err(),
        Some(TtlvError::Truncated { at: 8, .. })
    ));
    let short = bytes("42002002000000030000000000000000");
    assert!(matches!(
        decode(&short).err(),
        Some(TtlvError::WrongLength { kind: 2, length: 3, .. })
    ));
    let header = [0x42, 0, 0x7B, 1, 0, 0x10, 0, 0];
    assert_eq!(
        message_length(&header).err(),
        Some(TtlvError::TooLong {
            length: MESSAGE_LENGTH_MAX + 8
        })
    );
    assert!(matches!(
        decode(&vec![0; MESSAGE_LENGTH_MAX + 8]).err(),
        Some(TtlvError::TooLong { .. })
    ));
}

fn nested(depth: usize) -> Vec<u8> {
    let mut writer = Writer::default();
    fn inner(writer: &mut Writer, depth: usize) {
        match depth {
            0 => writer.integer(Tag(1), 1),
            depth => writer.structure(Tag(1), |writer| inner(writer, depth - 1)),
        }
    }
    inner(&mut writer, depth);
    writer.into_bytes()
}

#[test]
fn goes_sixteen_structures_deep_and_no_deeper() {
    assert!(decode(&nested(DEPTH_MAX)).is_ok());
    assert!(matches!(
        decode(&nested(DEPTH_MAX + 1)).err(),
        Some(TtlvError::TooDeep { .. })
    ));
    assert!(decode(&nested(1000)).is_err());
}

/// A field that somebody might write.
#[derive(Debug, Clone)]
enum Field {
    Structure(u32, Vec<Field>),
    Integer(u32, i32),
    Enumeration(u32, u32),
    Text(u32, String),
    Bytes(u32, Vec<u8>),
}

impl Field {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Structure(tag, fields) => writer.structure(Tag(*tag), |writer| {
                fields.iter().for_each(|field| field.write(writer));
            }),
            Self::Integer(tag, number) => writer.integer(Tag(*tag), *number),
            Self::Enumeration(tag, number) => writer.enumeration(Tag(*tag), *number),
            Self::Text(tag, text) => writer.text(Tag(*tag), text),
            Self::Bytes(tag, bytes) => writer.bytes(Tag(*tag), bytes),
        }
    }

    fn is(&self, element: &Element<'_>) -> bool {
        let tag = match self {
            Self::Structure(tag, _)
            | Self::Integer(tag, _)
            | Self::Enumeration(tag, _)
            | Self::Text(tag, _)
            | Self::Bytes(tag, _) => *tag,
        };
        let same = match self {
            Self::Structure(_, fields) => {
                let children = element.children();
                fields.len() == children.len() && fields.iter().zip(children).all(|(field, child)| field.is(child))
            }
            Self::Integer(_, number) => element.number() == Some((*number).into()),
            Self::Enumeration(_, number) => element.enumeration() == Some(*number),
            Self::Text(_, text) => element.text() == Some(text),
            Self::Bytes(_, bytes) => element.bytes() == Some(bytes),
        };
        same && element.tag == Tag(tag)
    }
}

fn field() -> impl Strategy<Value = Field> {
    let tag = || 0u32..0x100_0000;
    let leaf = prop_oneof![
        (tag(), any::<i32>()).prop_map(|(tag, number)| Field::Integer(tag, number)),
        (tag(), any::<u32>()).prop_map(|(tag, number)| Field::Enumeration(tag, number)),
        (tag(), ".{0,20}").prop_map(|(tag, text)| Field::Text(tag, text)),
        (tag(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(tag, bytes)| Field::Bytes(tag, bytes)),
    ];
    leaf.prop_recursive(8, 64, 6, move |inner| {
        (tag(), prop::collection::vec(inner, 0..6)).prop_map(|(tag, fields)| Field::Structure(tag, fields))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_what_is_written(field in field()) {
        let mut writer = Writer::default();
        field.write(&mut writer);
        let message = writer.into_bytes();
        prop_assert!(message.len().is_multiple_of(ALIGNMENT));
        let element = decode(&message).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(field.is(&element));
    }

    #[test]
    fn survives_every_change_of_a_message(field in field(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut writer = Writer::default();
        field.write(&mut writer);
        let mut message = writer.into_bytes();
        let place = place.index(message.len());
        message[place] = byte;
        if let Ok(element) = decode(&message) {
            prop_assert!(depth(&element) <= DEPTH_MAX);
        }
    }

    #[test]
    fn survives_any_bytes(message in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&message);
    }
}

fn depth(element: &Element<'_>) -> usize {
    match &element.value {
        Value::Structure(children) => 1 + children.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
