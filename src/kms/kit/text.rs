//! A kit as one text: pages of instructions that a stranger can follow, then pages of lines. The same file is read by `recover`, printed,
//! and typed again from the paper.

use std::io::{self, BufRead, Write};

use super::KitError;
use super::lines::{Collector, LINE_BYTES, line};
use super::sealed::{Head, SealedKit};
use crate::clock::to_text;

/// What stands on the first pages.
const INSTRUCTIONS: &str = include_str!("kit.txt");

/// Lines of instructions, and of the kit, on a page of at most 60 lines.
const INSTRUCTIONS_ON_A_PAGE: usize = 54;
const LINES_ON_A_PAGE: usize = 50;

/// Lines of the kit between two empty ones, so that an eye finds its way.
const LINES_IN_A_BLOCK: usize = 10;

/// Longest line that is looked at, in bytes; the rest of a longer one is passed over.
const TEXT_LINE_LENGTH_MAX: u64 = 4096;

/// How long a kit is on paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Extent {
    /// Pages, those of instructions among them.
    pub pages: usize,
    /// Lines to be typed if it came to that.
    pub lines: usize,
}

impl Extent {
    /// Of a kit.
    #[must_use]
    pub fn of(kit: &SealedKit) -> Self {
        let lines = usize::try_from(kit.head().lines()).unwrap_or(usize::MAX);
        Self {
            pages: instruction_pages() + lines.div_ceil(LINES_ON_A_PAGE),
            lines,
        }
    }
}

fn instruction_pages() -> usize {
    INSTRUCTIONS.lines().count().div_ceil(INSTRUCTIONS_ON_A_PAGE)
}

/// Writes `kit` as text to `to`; form feeds stand between pages.
///
/// # Errors
/// Those of `to`.
pub(super) fn write(kit: &SealedKit, to: &mut impl Write) -> io::Result<()> {
    let head = kit.head();
    let extent = Extent::of(kit);
    let mut page = 0;
    let mut heading = |to: &mut dyn Write, what: &str| {
        page += 1;
        if page > 1 {
            to.write_all(b"\x0c")?;
        }
        let title = format!("TAPEKEY RECOVERY KIT, mark {}", head.mark());
        writeln!(to, "{title}        page {page} of {}{what}\n", extent.pages)
    };
    let instructions: Vec<&str> = INSTRUCTIONS.lines().collect();
    for (number, part) in instructions.chunks(INSTRUCTIONS_ON_A_PAGE).enumerate() {
        heading(to, "")?;
        if number == 0 {
            facts(head, extent, to)?;
        }
        part.iter().try_for_each(|line| writeln!(to, "{line}"))?;
    }
    let (bytes, mark) = (kit.encode(), head.mark());
    let data: Vec<&[u8]> = bytes.chunks(LINE_BYTES).collect();
    for (number, part) in data.chunks(LINES_ON_A_PAGE).enumerate() {
        let before = number * LINES_ON_A_PAGE;
        let what = format!(", lines {} to {} of {}", before + 1, before + part.len(), extent.lines);
        heading(to, &what)?;
        for (index, data) in part.iter().enumerate() {
            if index > 0 && index.is_multiple_of(LINES_IN_A_BLOCK) {
                writeln!(to)?;
            }
            let number = u32::try_from(before + index + 1).unwrap_or(u32::MAX);
            writeln!(to, "{}", line(&mark, number, data))?;
        }
    }
    Ok(())
}

fn facts(head: &Head, extent: Extent, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "kit      {}", head.id)?;
    writeln!(to, "made     {}", to_text(head.made))?;
    writeln!(to, "store    {}", head.store)?;
    writeln!(to, "holds    {} groups, {} keys", head.groups, head.keys)?;
    writeln!(
        to,
        "length   {} pages, {} lines of the kit\n",
        extent.pages, extent.lines
    )
}

/// Reads a kit out of a text: this program's, a scanner's, or one that was typed.
///
/// # Errors
/// [`KitError`] names the lines that are wrong or missing; `named` is what is read from.
pub fn read(from: &mut impl BufRead, named: &std::path::Path) -> Result<SealedKit, KitError> {
    let mut collector = Collector::default();
    while let Some(line) = next_line(from).map_err(KitError::file("read", named))? {
        collector.take(&line);
    }
    collector.finish()
}

/// The next line, cut if it is too long for any kit; `None` at the end.
///
/// # Errors
/// Those of `from`.
pub fn next_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if io::Read::take(&mut *from, TEXT_LINE_LENGTH_MAX).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        pass_over(from)?;
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

/// The rest of an over-long line, without keeping it.
fn pass_over(from: &mut impl BufRead) -> io::Result<()> {
    loop {
        let held = from.fill_buf()?;
        let end = held.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(held.len(), |end| end + 1);
        from.consume(length);
        if end.is_some() || length == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sealed;
    use super::*;
    use std::path::Path;

    fn written() -> String {
        let mut text = Vec::new();
        write(&sealed(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_and_fits_on_its_pages() {
        let text = written();
        assert_eq!(read(&mut text.as_bytes(), Path::new("kit")).unwrap(), sealed());
        let pages: Vec<&str> = text.split('\x0c').collect();
        assert_eq!(pages.len(), Extent::of(&sealed()).pages);
        for page in pages {
            assert!(page.starts_with("TAPEKEY RECOVERY KIT, mark "), "{page}");
            assert!(page.lines().count() <= 62, "{} lines", page.lines().count());
        }
        let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
        assert_eq!(long, Vec::<&str>::new());
        assert!(text.is_ascii());
    }

    #[test]
    fn no_line_of_the_instructions_is_taken_for_one_of_the_kit() {
        let mut collector = Collector::default();
        for line in written().lines().take_while(|line| !line.contains(", lines 1 to ")) {
            assert_eq!(collector.take(line), crate::kms::kit::Given::Other, "{line}");
        }
    }

    #[test]
    fn a_text_without_line_ends_costs_no_memory_and_is_no_kit() {
        let flood = vec![b'A'; 1 << 20];
        assert!(read(&mut flood.as_slice(), Path::new("flood")).is_err());
        let mut behind = [flood.as_slice(), b"\n", written().as_bytes()].concat();
        behind.push(b'\n');
        assert_eq!(read(&mut behind.as_slice(), Path::new("kit")).unwrap(), sealed());
    }
}
