//! Requests: one or several items, each with an identifier of its own that is never used twice on a server, and never anything that depends on
//! another item (no ID Placeholder, no Undo). No Time Stamp: some servers refuse those that are not theirs.

use super::attribute::Attribute;
use super::names::{
    CONTINUE, Operation, ProtocolVersion, QUERY_OPERATIONS, QUERY_SERVER_INFORMATION, SYMMETRIC_KEY, tag,
};
use super::write::Writer;

/// What a search asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Search {
    /// What every object found must have.
    pub(super) attributes: Vec<Attribute>,
    /// How many of the objects found are passed over.
    pub(super) offset: usize,
    /// Most objects, if not all are wanted.
    pub(super) maximum: Option<i32>,
}

/// One item of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question<'a> {
    DiscoverVersions,
    Query,
    Locate(&'a Search),
    Get(&'a str),
    GetAttributes(&'a str),
    Create(&'a [Attribute]),
    Activate(&'a str),
    Export(&'a str),
}

impl Question<'_> {
    pub(super) fn operation(&self) -> Operation {
        match self {
            Self::DiscoverVersions => Operation::DiscoverVersions,
            Self::Query => Operation::Query,
            Self::Locate(_) => Operation::Locate,
            Self::Get(_) => Operation::Get,
            Self::GetAttributes(_) => Operation::GetAttributes,
            Self::Create(_) => Operation::Create,
            Self::Activate(_) => Operation::Activate,
            Self::Export(_) => Operation::Export,
        }
    }

    /// Whether it may be asked again when it is not known whether it was served.
    pub(super) fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Create(_) | Self::Activate(_))
    }

    fn write_payload(&self, writer: &mut Writer, version: ProtocolVersion) {
        match self {
            // Without versions of our own all of the server's are asked for.
            Self::DiscoverVersions => {}
            Self::Query => {
                writer.enumeration(tag::QUERY_FUNCTION, QUERY_OPERATIONS);
                writer.enumeration(tag::QUERY_FUNCTION, QUERY_SERVER_INFORMATION);
            }
            Self::Locate(search) => search.write(writer, version),
            // Get Attributes without names asks for all: servers disagree on what a name that they do not know means.
            Self::Get(identifier)
            | Self::GetAttributes(identifier)
            | Self::Activate(identifier)
            | Self::Export(identifier) => writer.text(tag::UNIQUE_IDENTIFIER, identifier),
            Self::Create(attributes) => {
                writer.enumeration(tag::OBJECT_TYPE, SYMMETRIC_KEY);
                Attribute::write_all(attributes, (writer, version), Some(tag::TEMPLATE_ATTRIBUTE));
            }
        }
    }
}

impl Search {
    fn write(&self, writer: &mut Writer, version: ProtocolVersion) {
        if let Some(maximum) = self.maximum {
            writer.integer(tag::MAXIMUM_ITEMS, maximum);
        }
        if self.offset > 0 {
            writer.integer(tag::OFFSET_ITEMS, i32::try_from(self.offset).unwrap_or(i32::MAX));
        }
        Attribute::write_all(&self.attributes, (writer, version), None);
    }
}

/// The message that asks `questions`; the items are numbered from `first` on.
pub(super) fn message(version: ProtocolVersion, questions: &[Question<'_>], first: u64) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.structure(tag::REQUEST_MESSAGE, |writer| {
        header(writer, version, questions.len());
        for (question, number) in questions.iter().zip(first..) {
            writer.structure(tag::BATCH_ITEM, |writer| {
                writer.enumeration(tag::OPERATION, question.operation().code());
                writer.bytes(tag::UNIQUE_BATCH_ITEM_ID, &number.to_be_bytes());
                writer.structure(tag::REQUEST_PAYLOAD, |writer| question.write_payload(writer, version));
            });
        }
    });
    writer.into_bytes()
}

fn header(writer: &mut Writer, version: ProtocolVersion, count: usize) {
    writer.structure(tag::REQUEST_HEADER, |writer| {
        writer.structure(tag::PROTOCOL_VERSION, |writer| {
            writer.integer(tag::PROTOCOL_VERSION_MAJOR, version.major);
            writer.integer(tag::PROTOCOL_VERSION_MINOR, version.minor);
        });
        if count > 1 {
            writer.enumeration(tag::BATCH_ERROR_CONTINUATION_OPTION, CONTINUE);
        }
        // A batch is a few hundred items at most.
        writer.integer(tag::BATCH_COUNT, i32::try_from(count).unwrap_or(i32::MAX));
    });
}
