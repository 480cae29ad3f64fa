//! What lies where on the tape, kept in memory: found again by a scan when a file is opened.

use super::record::ObjectKind;

/// One object: a block, a filemark, or a place that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Object {
    /// Bytes of records before it.
    pub(super) start: u64,
    /// Length of the block in bytes; 0 for a filemark.
    pub(crate) block_bytes: u32,
    /// What it is.
    pub(crate) kind: ObjectKind,
}

/// All objects, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Index {
    objects: Vec<Object>,
    filemarks: Vec<u64>,
    end: u64,
    sealed_blocks: u64,
    plain_blocks: u64,
    first_sealed: Option<u64>,
    first_plain: Option<u64>,
    first_plain_after: Option<u64>,
}

impl Index {
    /// Number of objects: the object number of end of data.
    pub(crate) fn objects(&self) -> u64 {
        as_u64(self.objects.len())
    }

    /// The object with this number.
    pub(crate) fn object(&self, number: u64) -> Option<Object> {
        self.objects.get(usize::try_from(number).ok()?).copied()
    }

    /// Where its record begins and ends, in bytes of records.
    pub(super) fn extent(&self, number: u64) -> Option<(u64, u64)> {
        let start = self.object(number)?.start;
        Some((start, self.object(number + 1).map_or(self.end, |next| next.start)))
    }

    /// Bytes of records on the tape.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// Bytes of records before object `number`; all of them from the end of data on.
    pub(crate) fn bytes_before(&self, number: u64) -> u64 {
        self.object(number).map_or(self.end, |object| object.start)
    }

    /// Number of filemarks.
    pub(crate) fn filemarks(&self) -> u64 {
        as_u64(self.filemarks.len())
    }

    /// How many filemarks lie before object `number`.
    pub(crate) fn filemarks_before(&self, number: u64) -> u64 {
        as_u64(self.filemarks.partition_point(|filemark| *filemark < number))
    }

    /// Object number of the filemark that has `count` filemarks before it.
    pub(crate) fn filemark(&self, count: u64) -> Option<u64> {
        self.filemarks.get(usize::try_from(count).ok()?).copied()
    }

    /// Number of encrypted blocks.
    pub(crate) const fn sealed_blocks(&self) -> u64 {
        self.sealed_blocks
    }

    /// Number of blocks that are not encrypted.
    pub(crate) const fn plain_blocks(&self) -> u64 {
        self.plain_blocks
    }

    /// First encrypted block.
    pub(crate) const fn first_sealed(&self) -> Option<u64> {
        self.first_sealed
    }

    /// Whether a block that is not encrypted lies before object `number`.
    pub(crate) fn plain_before(&self, number: u64) -> bool {
        self.first_plain.is_some_and(|first| first < number)
    }

    /// Whether an encrypted block lies before object `number`.
    pub(crate) fn sealed_before(&self, number: u64) -> bool {
        self.first_sealed.is_some_and(|first| first < number)
    }

    /// First block after it that is not encrypted. Filemarks do not count.
    pub(crate) const fn first_plain_after_sealed(&self) -> Option<u64> {
        self.first_plain_after
    }

    /// Appends an object whose record takes `record_bytes`.
    pub(super) fn push(&mut self, kind: ObjectKind, block_bytes: u32, record_bytes: u64) {
        let number = self.objects();
        match kind {
            ObjectKind::Filemark => self.filemarks.push(number),
            ObjectKind::Sealed => {
                self.sealed_blocks += 1;
                self.first_sealed.get_or_insert(number);
            }
            ObjectKind::Plain => {
                self.plain_blocks += 1;
                self.first_plain.get_or_insert(number);
                if self.first_sealed.is_some() {
                    self.first_plain_after.get_or_insert(number);
                }
            }
            ObjectKind::Damaged => {}
        }
        self.objects.push(Object {
            start: self.end,
            block_bytes,
            kind,
        });
        self.end += record_bytes;
    }

    /// Forgets object `number` and all after it.
    pub(super) fn truncate(&mut self, number: u64) {
        let Some((start, _)) = self.extent(number) else { return };
        let kept = usize::try_from(number).unwrap_or(usize::MAX);
        for object in self.objects.drain(kept..) {
            match object.kind {
                ObjectKind::Sealed => self.sealed_blocks -= 1,
                ObjectKind::Plain => self.plain_blocks -= 1,
                ObjectKind::Filemark | ObjectKind::Damaged => {}
            }
        }
        self.filemarks
            .truncate(self.filemarks.partition_point(|filemark| *filemark < number));
        self.first_sealed = self.first_sealed.filter(|first| *first < number);
        self.first_plain = self.first_plain.filter(|first| *first < number);
        self.first_plain_after = self.first_plain_after.filter(|first| *first < number);
        self.end = start;
    }
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ObjectKind::{Filemark, Plain, Sealed};

    fn index(kinds: &[ObjectKind]) -> Index {
        let mut index = Index::default();
        for kind in kinds {
            index.push(*kind, 10, 100);
        }
        index
    }

    #[test]
    fn knows_the_first_encrypted_block_and_the_first_plain_one_after_it() {
        let mixed = index(&[Plain, Filemark, Sealed, Filemark, Plain, Sealed]);
        assert_eq!(
            (mixed.first_sealed(), mixed.first_plain_after_sealed()),
            (Some(2), Some(4))
        );
        let clean = index(&[Filemark, Sealed, Filemark]);
        assert_eq!(
            (clean.first_sealed(), clean.first_plain_after_sealed()),
            (Some(1), None)
        );
    }

    #[test]
    fn knows_which_kinds_lie_before_a_place() {
        let mixed = index(&[Filemark, Plain, Sealed]);
        assert_eq!([1, 2, 3].map(|at| mixed.plain_before(at)), [false, true, true]);
        assert_eq!([2, 3].map(|at| mixed.sealed_before(at)), [false, true]);
    }

    #[test]
    fn is_after_a_truncation_as_if_the_rest_had_never_been_written() {
        let kinds = [Plain, Filemark, Sealed, Filemark, Plain, Sealed];
        for kept in 0..=kinds.len() {
            let mut truncated = index(&kinds);
            truncated.truncate(kept as u64);
            assert_eq!(truncated, index(&kinds[..kept]), "{kept}");
        }
    }

    #[test]
    fn counts_filemarks_on_both_sides() {
        let index = index(&[Filemark, Plain, Filemark, Filemark]);
        assert_eq!(
            [0, 1, 2, 3, 4].map(|number| index.filemarks_before(number)),
            [0, 1, 1, 2, 3]
        );
        assert_eq!((index.filemark(1), index.filemark(3)), (Some(2), None));
    }
}
