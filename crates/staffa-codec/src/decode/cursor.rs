//! A place in JSON text, and the smallest things that may stand there.

use crate::text::parse::Number;

/// Where and why a text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    /// The offset in the text.
    pub(super) at: usize,
    /// Why.
    pub(super) kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The text ends where more must follow.
    End,
    /// The text breaks the grammar.
    Syntax(&'static str),
}

impl Fault {
    #[cold]
    pub(super) const fn syntax(at: usize, why: &'static str) -> Self {
        Self {
            at,
            kind: FaultKind::Syntax(why),
        }
    }

    #[cold]
    pub(super) const fn end(at: usize) -> Self {
        Self {
            at,
            kind: FaultKind::End,
        }
    }

    pub(super) const fn why(self) -> &'static str {
        match self.kind {
            FaultKind::End => "the text ends too early",
            FaultKind::Syntax(why) => why,
        }
    }
}

/// What JSON allows in a string and a record does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextFlaw {
    /// U+0000, which not every engine can store.
    Nul,
    /// Half of a surrogate pair, which is no Unicode text.
    LoneSurrogate,
}

impl TextFlaw {
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Nul => "text cannot hold U+0000",
            Self::LoneSurrogate => "text cannot hold half of a surrogate pair",
        }
    }
}

/// A scanned string: where it lies between its quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) is_escaped: bool,
    pub(super) flaw: Option<TextFlaw>,
}

#[derive(Debug)]
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks the bytes of a word that end a run of plain characters; the lowest mark is exact.
#[inline]
const fn special_marks(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let backslashes = backslash.wrapping_sub(ONES) & !backslash;
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | backslashes | controls) & HIGHS
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    #[inline]
    pub(super) fn peek(&self) -> Result<u8, Fault> {
        match self.bytes.get(self.at) {
            Some(byte) => Ok(*byte),
            None => Err(Fault::end(self.at)),
        }
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8, why: &'static str) -> Result<(), Fault> {
        if self.peek()? == byte {
            self.at += 1;
            return Ok(());
        }
        Err(Fault::syntax(self.at, why))
    }

    pub(super) fn literal(&mut self, word: &'static [u8]) -> Result<(), Fault> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        if word.starts_with(rest) {
            return Err(Fault::end(self.bytes.len()));
        }
        Err(Fault::syntax(self.at, "expected a value"))
    }

    #[inline]
    pub(super) fn number(&mut self) -> Result<Number, Fault> {
        match Number::scan(self.bytes, self.at) {
            Ok(number) if number.has_leading_zero => {
                Err(Fault::syntax(self.at, "a number cannot start with a zero"))
            }
            Ok(number) => {
                self.at = number.end;
                Ok(number)
            }
            // Told before what is behind it, which may come in a later chunk.
            Err(_) if self.has_leading_zero() => {
                Err(Fault::syntax(self.at, "a number cannot start with a zero"))
            }
            Err(none) if none.at == self.bytes.len() => Err(Fault::end(none.at)),
            Err(none) => Err(Fault::syntax(none.at, "expected a digit")),
        }
    }

    #[cold]
    fn has_leading_zero(&self) -> bool {
        let rest = &self.bytes[self.at..];
        let rest = rest.strip_prefix(b"-").unwrap_or(rest);
        matches!(rest, [b'0', b'0'..=b'9', ..])
    }

    /// Scans the string that starts here.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Text, Fault> {
        let start = self.at + 1;
        let at = self.plain_end(start);
        if self.bytes.get(at) == Some(&b'"') {
            self.at = at + 1;
            return Ok(Text {
                start,
                end: at,
                is_escaped: false,
                flaw: None,
            });
        }
        self.string_rest(start, at)
    }

    #[inline]
    fn plain_end(&self, start: usize) -> usize {
        let mut at = start;
        while let Some(word) = self.bytes.get(at..at + 8) {
            let word: [u8; 8] = word.try_into().expect("eight bytes were asked for");
            let marks = special_marks(u64::from_le_bytes(word));
            if marks != 0 {
                return at + (marks.trailing_zeros() / 8) as usize;
            }
            at += 8;
        }
        while let Some(byte) = self.bytes.get(at) {
            if *byte < 0x20 || matches!(byte, b'"' | b'\\') {
                break;
            }
            at += 1;
        }
        at
    }

    #[inline(never)]
    fn string_rest(&mut self, start: usize, from: usize) -> Result<Text, Fault> {
        let mut text = Text {
            start,
            end: from,
            is_escaped: false,
            flaw: None,
        };
        let mut at = from;
        loop {
            match self.bytes.get(at) {
                None => return Err(Fault::end(at)),
                Some(b'"') => break,
                Some(b'\\') => {
                    text.is_escaped = true;
                    at = self.escape(at, &mut text.flaw)?;
                }
                Some(_) => {
                    return Err(Fault::syntax(
                        at,
                        "a string cannot hold a bare control character",
                    ));
                }
            }
            at = self.plain_end(at);
        }
        text.end = at;
        self.at = at + 1;
        Ok(text)
    }

    fn escape(&self, at: usize, flaw: &mut Option<TextFlaw>) -> Result<usize, Fault> {
        match self.bytes.get(at + 1) {
            None => Err(Fault::end(at + 1)),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => {
                let unit = self.hex(at + 2)?;
                let next = at + 6;
                match unit {
                    0 => *flaw = Some(TextFlaw::Nul),
                    0xD800..=0xDBFF if self.is_low_escape(next)? => return Ok(next + 6),
                    0xD800..=0xDFFF => *flaw = Some(TextFlaw::LoneSurrogate),
                    _ => {}
                }
                Ok(next)
            }
            Some(_) => Err(Fault::syntax(at, "unknown escape in a string")),
        }
    }

    fn is_low_escape(&self, at: usize) -> Result<bool, Fault> {
        match (self.bytes.get(at), self.bytes.get(at + 1)) {
            (Some(b'\\'), Some(b'u')) => Ok(matches!(self.hex(at + 2)?, 0xDC00..=0xDFFF)),
            _ => Ok(false),
        }
    }

    fn hex(&self, at: usize) -> Result<u16, Fault> {
        let mut unit = 0;
        for place in at..at + 4 {
            let byte = *self.bytes.get(place).ok_or(Fault::end(place))?;
            let digit = char::from(byte).to_digit(16);
            let digit = digit.ok_or(Fault::syntax(place, "expected four hexadecimal digits"))?;
            unit = unit << 4 | u16::try_from(digit).unwrap_or(0);
        }
        Ok(unit)
    }

    /// The bytes of a scanned string; `scratch` holds them where escapes had to be resolved.
    #[inline]
    pub(super) fn text<'s>(&self, text: Text, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        let raw = &self.bytes[text.start..text.end];
        if !text.is_escaped {
            return raw;
        }
        scratch.clear();
        unescape(raw, scratch);
        scratch
    }
}

/// Appends a scanned string's text; lone surrogates become U+FFFD.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &raw[at..]) {
        out.extend_from_slice(&raw[at..at + found]);
        let escape = at + found + 1;
        at = escape + 1;
        let plain = match raw.get(escape) {
            Some(b'u') => {
                at += push_unit(&raw[at..], out);
                continue;
            }
            Some(b'b') => 0x08,
            Some(b'f') => 0x0C,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(other) => *other,
            None => return,
        };
        out.push(plain);
    }
    out.extend_from_slice(&raw[at..]);
}

/// Appends the character whose four digits start `raw`; answers how many bytes it took.
fn push_unit(raw: &[u8], out: &mut Vec<u8>) -> usize {
    let unit = |at: usize| {
        let digits = raw.get(at..at + 4)?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let high = unit(0).unwrap_or(0xFFFD);
    let mut taken = 4;
    let mut point = high;
    if (0xD800..0xDC00).contains(&high)
        && raw.get(4..6) == Some(b"\\u")
        && let Some(low @ 0xDC00..=0xDFFF) = unit(6)
    {
        point = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        taken = 10;
    }
    let character = char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    taken
}
