//! Where a JSON value ends, found piece by piece while it arrives.

/// Finds the end of one value without checking it.
#[derive(Debug, Default)]
pub(super) struct Framer {
    kind: Kind,
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    /// Not a byte was seen.
    #[default]
    New,
    /// An array, object or string, which ends by itself.
    Closed,
    /// A number or a word, which ends before what follows.
    Bare,
}

impl Framer {
    /// Reads on; answers how many of these bytes belong to the value once it ends in them.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.kind == Kind::New {
            let first = bytes.first()?;
            self.kind = if matches!(first, b'{' | b'[' | b'"') {
                Kind::Closed
            } else {
                Kind::Bare
            };
        }
        if self.kind == Kind::Bare {
            let ends =
                |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
            return bytes.iter().position(ends);
        }
        let mut at = 0;
        while at < bytes.len() {
            if self.is_in_string {
                at = self.scan_string(bytes, at);
            } else {
                match bytes[at] {
                    b'"' => self.is_in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => {
                        at += 1;
                        continue;
                    }
                }
                at += 1;
            }
            if self.depth == 0 && !self.is_in_string {
                return Some(at);
            }
        }
        None
    }

    fn scan_string(&mut self, bytes: &[u8], from: usize) -> usize {
        if self.is_escaped {
            self.is_escaped = false;
            return from + 1;
        }
        match memchr::memchr2(b'"', b'\\', &bytes[from..]) {
            Some(found) => {
                if bytes[from + found] == b'"' {
                    self.is_in_string = false;
                } else {
                    self.is_escaped = true;
                }
                from + found + 1
            }
            None => bytes.len(),
        }
    }
}
