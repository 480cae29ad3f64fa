//! Where the records of a file lie: tables of headers, and payloads between them. Pure arithmetic, nothing is read or written here.
//!
//! Headers lie apart from payloads so that payloads of whole pages begin at whole pages, and blocks of one power of two follow each other
//! without a gap. A payload that began anywhere cost a quarter of the speed.

use super::record::OVERHEAD_BYTES;

/// Length of a table of headers.
pub(super) const TABLE_BYTES: u64 = 64 * 1024;
/// Tables begin at multiples of this, and payloads that are multiples of it do.
pub(super) const PAGE_BYTES: u64 = 4096;
/// No payload needs to begin at a multiple of more than this.
const ALIGNMENT_MAX: u64 = 1 << 20;
/// What a link takes. Every table keeps room for one.
const LINK_BYTES: u64 = OVERHEAD_BYTES as u64;

/// Where the two parts of a record lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Extent {
    /// Where the header begins.
    pub(super) header_at: u64,
    /// Length of the header with KADs and CRC.
    pub(super) header_bytes: u32,
    /// Where the payload begins. Of a filemark: where one would.
    pub(super) payload_at: u64,
    /// Length of the payload.
    pub(super) payload_bytes: u32,
}

impl Extent {
    /// Where the header ends.
    pub(super) fn header_end(&self) -> u64 {
        self.header_at.saturating_add(self.header_bytes.into())
    }

    /// Where the payload ends.
    pub(super) fn payload_end(&self) -> u64 {
        self.payload_at.saturating_add(self.payload_bytes.into())
    }
}

#[derive(Clone, Copy, Debug)]
struct Table {
    at: u64,
    /// The object whose header is the first in it.
    first_object: u64,
}

/// The link that must be written before a record can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link {
    /// Where it goes.
    pub(super) at: u64,
    /// Where the new table lies.
    pub(super) table_at: u64,
}

/// Where all records of a file lie.
#[derive(Debug)]
pub(super) struct Layout {
    extents: Vec<Extent>,
    /// Never empty.
    tables: Vec<Table>,
    first_table_at: u64,
}

impl Layout {
    /// No records; the first table lies at `first_table_at`.
    pub(super) fn new(first_table_at: u64) -> Self {
        let first = Table {
            at: first_table_at,
            first_object: 0,
        };
        Self {
            extents: Vec::new(),
            tables: vec![first],
            first_table_at,
        }
    }

    /// Where the record of an object lies. None if there is no such object.
    pub(super) fn extent(&self, object: u64) -> Option<Extent> {
        self.extents.get(usize::try_from(object).ok()?).copied()
    }

    /// Where the record behind the last one goes, and the link that must come first if its table is full.
    ///
    /// None if the header is longer than a table, or the file would be longer than a file can be.
    pub(super) fn next(&self, header_bytes: u32, payload_bytes: u32) -> Option<(Extent, Option<Link>)> {
        let (mut header_at, mut payload_from) = (self.header_at(), self.payload_from());
        let needed = u64::from(header_bytes).checked_add(LINK_BYTES)?;
        let link = if header_at.checked_add(needed)? <= self.table_end() {
            None
        } else {
            let table_at = payload_from.checked_next_multiple_of(PAGE_BYTES)?;
            let link = Link {
                at: header_at,
                table_at,
            };
            (header_at, payload_from) = (table_at, table_at.checked_add(TABLE_BYTES)?);
            Some(link)
        };
        let extent = Extent {
            header_at,
            header_bytes,
            payload_at: payload_from.checked_next_multiple_of(alignment(payload_bytes))?,
            payload_bytes,
        };
        (needed <= TABLE_BYTES && extent.payload_end() < FILE_BYTES_MAX).then_some((extent, link))
    }

    /// Takes a record in behind the last one.
    pub(super) fn push(&mut self, extent: Extent) {
        self.extents.push(extent);
    }

    /// From the next object on, headers lie in the table at `at`.
    pub(super) fn begin_table(&mut self, at: u64) {
        let first_object = self.objects();
        self.tables.push(Table { at, first_object });
    }

    /// Forgets the record of this object and all after it, and the tables that hold none but those.
    pub(super) fn truncate(&mut self, objects: u64) {
        self.extents.truncate(usize::try_from(objects).unwrap_or(usize::MAX));
        self.tables
            .retain(|table| table.first_object < objects || table.at == self.first_table_at);
    }

    /// Where the next header goes, unless its table is full.
    pub(super) fn header_at(&self) -> u64 {
        let table = self.table();
        match self.extents.last() {
            Some(last) if table.first_object < self.objects() => last.header_end(),
            _ => table.at,
        }
    }

    /// Where the table ends in which the next header goes.
    pub(super) fn table_end(&self) -> u64 {
        self.table().at.saturating_add(TABLE_BYTES)
    }

    /// The first byte that the next payload may lie on.
    pub(super) fn payload_from(&self) -> u64 {
        let end = self.extents.last().map_or(0, Extent::payload_end);
        end.max(self.table_end())
    }

    /// Where the file ends if nothing but whole records is in it.
    pub(super) fn tail(&self) -> u64 {
        // A filemark in a new file has the end of its table for a payload's place, but nothing lies there.
        let payload_end = self.extents.iter().rev().find(|extent| extent.payload_bytes > 0);
        payload_end.map_or(0, Extent::payload_end).max(self.header_at())
    }

    fn objects(&self) -> u64 {
        u64::try_from(self.extents.len()).unwrap_or(u64::MAX)
    }

    fn table(&self) -> Table {
        let first = Table {
            at: self.first_table_at,
            first_object: 0,
        };
        self.tables.last().copied().unwrap_or(first)
    }
}

/// What the place of a payload of this length is a multiple of: for whole pages the largest power of two that its length is a multiple of too.
fn alignment(payload_bytes: u32) -> u64 {
    let length = u64::from(payload_bytes);
    if length == 0 || !length.is_multiple_of(PAGE_BYTES) {
        return 1;
    }
    (1 << length.trailing_zeros()).min(ALIGNMENT_MAX)
}

/// No file is longer (`loff_t`).
const FILE_BYTES_MAX: u64 = 1 << 62;

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u64 = 36_864;

    /// Lays out records of one length each and returns where their payloads lie.
    fn lay_out(layout: &mut Layout, payloads: &[u32]) -> Vec<u64> {
        let places = payloads.iter().map(|payload_bytes| {
            let (extent, link) = layout.next(100, *payload_bytes).unwrap();
            if let Some(link) = link {
                layout.begin_table(link.table_at);
            }
            layout.push(extent);
            extent.payload_at
        });
        places.collect()
    }

    #[test]
    fn blocks_of_one_power_of_two_follow_each_other_at_multiples_of_it() {
        for payload_bytes in [4096, 65_536, 262_144, 1 << 20] {
            let mut layout = Layout::new(FIRST);
            let places = lay_out(&mut layout, &[payload_bytes; 600]);
            let gaps = places
                .windows(2)
                .filter(|pair| pair[1] - pair[0] != u64::from(payload_bytes));
            assert!(places.iter().all(|place| place % u64::from(payload_bytes) == 0));
            assert_eq!((gaps.count(), layout.tables.len()), (0, 1), "{payload_bytes}");
        }
        let places = lay_out(&mut Layout::new(FIRST), &[8 << 20; 2]);
        assert!(places.iter().all(|place| place % (1 << 20) == 0));
    }

    #[test]
    fn other_blocks_are_packed_and_a_table_costs_a_page_at_most() {
        let mut layout = Layout::new(FIRST);
        lay_out(&mut layout, &[512; 10_000]);
        let (blocks, tables) = (10_000 * 512, u64::try_from(layout.tables.len()).unwrap());
        assert!(layout.tail() - FIRST <= blocks + tables * (TABLE_BYTES + PAGE_BYTES));
        assert_eq!(layout.extent(1).unwrap().payload_at, FIRST + TABLE_BYTES + 512);
    }

    #[test]
    fn nothing_overlaps_and_everything_lies_in_order() {
        let mut layout = Layout::new(FIRST);
        let payloads: Vec<u32> = (0..5000)
            .map(|number: u32| [1, 80, 4096, 0, 12_288, 70_000][number as usize % 6])
            .collect();
        lay_out(&mut layout, &payloads);
        let mut parts: Vec<(u64, u64)> = layout
            .tables
            .iter()
            .map(|table| (table.at, table.at + TABLE_BYTES))
            .collect();
        let payloads = layout.extents.iter().filter(|extent| extent.payload_bytes > 0);
        parts.extend(payloads.map(|extent| (extent.payload_at, extent.payload_end())));
        parts.sort_unstable();
        assert!(parts.windows(2).all(|pair| pair[0].1 <= pair[1].0));
        let headers = layout.extents.windows(2);
        assert!(
            headers
                .into_iter()
                .all(|pair| pair[0].header_end() <= pair[1].header_at)
        );
    }

    #[test]
    fn is_after_a_truncation_as_if_the_rest_had_never_been_written() {
        let payloads: Vec<u32> = (0..1500).map(|number: u32| number % 3 * 300).collect();
        for kept in [0, 1, 653, 654, 655, 656, 1308, 1499] {
            let (mut cut, mut short) = (Layout::new(FIRST), Layout::new(FIRST));
            lay_out(&mut cut, &payloads);
            cut.truncate(kept);
            lay_out(&mut short, &payloads[..usize::try_from(kept).unwrap()]);
            let whole = |layout: &Layout| (layout.extents.clone(), layout.tail(), layout.next(100, 4096));
            assert_eq!(whole(&cut), whole(&short), "{kept}");
        }
    }

    #[test]
    fn a_table_that_has_no_header_yet_takes_the_next_one() {
        let mut layout = Layout::new(FIRST);
        layout.push(layout.next(100, 10).unwrap().0);
        layout.begin_table(FIRST + 2 * TABLE_BYTES);
        let (extent, link) = layout.next(100, 10).unwrap();
        assert_eq!((extent.header_at, link), (FIRST + 2 * TABLE_BYTES, None));
        assert_eq!(extent.payload_at, FIRST + 3 * TABLE_BYTES);
    }

    #[test]
    fn refuses_headers_that_no_table_holds_and_files_that_are_too_long() {
        let layout = Layout::new(FIRST);
        assert!(layout.next(u32::try_from(TABLE_BYTES).unwrap(), 0).is_none());
        assert!(Layout::new(FILE_BYTES_MAX).next(100, 1).is_none());
        assert!(Layout::new(u64::MAX - 5000).next(100, 1).is_none());
    }
}
