//! The ids of stored records, as a server streams them.

use std::net::SocketAddr;

use anyhow::ensure;
use uuid::Uuid;

use super::client::{download, get};

const KEY: &[u8] = b"\"id\":\"";
const ID_BYTES: usize = 36;

/// Reads the ids of the first records of a schema.
pub(crate) fn read(address: SocketAddr, schema: &str, limit: u64) -> anyhow::Result<Vec<Uuid>> {
    let path =
        format!("/api/v1/records/{schema}/stream?format=ndjson&fields=field_code&limit={limit}");
    let mut finder = Finder::default();
    let transfer = download(address, &get(&path, ""), &mut |piece| finder.take(piece))?;
    ensure!(
        transfer.answer.status == 200,
        "no ids: the server said {}",
        transfer.answer.status
    );
    Ok(finder.ids)
}

/// Finds the id in every line of what comes in pieces.
#[derive(Debug, Default)]
struct Finder {
    line: Vec<u8>,
    ids: Vec<Uuid>,
}

impl Finder {
    fn take(&mut self, mut piece: &[u8]) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            if self.line.is_empty() {
                self.ids.extend(find(&piece[..end]));
            } else {
                self.line.extend_from_slice(&piece[..end]);
                self.ids.extend(find(&self.line));
                self.line.clear();
            }
            piece = &piece[end + 1..];
        }
        self.line.extend_from_slice(piece);
    }
}

fn find(line: &[u8]) -> Option<Uuid> {
    let at = line.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    Uuid::try_parse_ascii(line.get(at..at + ID_BYTES)?).ok()
}

#[cfg(test)]
mod tests {
    use super::Finder;

    #[test]
    fn ids_are_found_however_the_lines_are_cut() {
        let id = |last: u8| format!("018f0000-0000-7000-8000-00000000000{last}");
        let line = |last| {
            format!(
                "{{\"id\":\"{}\",\"data\":{{\"field_code\":1}}}}\n",
                id(last)
            )
        };
        let text = format!("{}{}{{\"$end\":{{\"rows\":2}}}}\n", line(1), line(2));
        for size in [1, 7, text.len()] {
            let mut finder = Finder::default();
            text.as_bytes()
                .chunks(size)
                .for_each(|piece| finder.take(piece));
            let found: Vec<String> = finder.ids.iter().map(ToString::to_string).collect();
            assert_eq!(found, [id(1), id(2)]);
        }
    }
}
