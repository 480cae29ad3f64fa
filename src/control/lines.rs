//! Lines with a limit: nothing of an over-long line is kept, and memory grows only with bytes that have come.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// What a look for the next line found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line without its line feed.
    Whole(Vec<u8>),
    /// The other side closed, between two lines or inside one.
    End,
    /// More than the limit came without a line feed.
    TooLong,
}

/// Reads one line of at most `limit` bytes with its line feed.
pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin), limit: usize) -> io::Result<Line> {
    let mut line = Vec::new();
    let limit_bytes = u64::try_from(limit).unwrap_or(u64::MAX);
    from.take(limit_bytes).read_until(b'\n', &mut line).await?;
    Ok(match line.pop() {
        Some(b'\n') => Line::Whole(line),
        Some(_) if line.len() + 1 >= limit => Line::TooLong,
        _ => Line::End,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_lines_ends_and_floods_apart() {
        let mut source: &[u8] = b"{}\n\n1234567\n12345678\n";
        assert_eq!(read(&mut source, 8).await.unwrap(), Line::Whole(b"{}".to_vec()));
        assert_eq!(read(&mut source, 8).await.unwrap(), Line::Whole(Vec::new()));
        assert_eq!(read(&mut source, 8).await.unwrap(), Line::Whole(b"1234567".to_vec()));
        assert_eq!(read(&mut source, 8).await.unwrap(), Line::TooLong);
        let mut torn: &[u8] = b"{\"a\"";
        assert_eq!(read(&mut torn, 8).await.unwrap(), Line::End);
    }
}
