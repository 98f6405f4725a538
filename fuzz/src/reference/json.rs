//! JSON (RFC 8259) by recursive descent, everything decoded and everything kept.

use super::require;

/// Objects and arrays inside one another.
const DEPTH_MAX: usize = 32;
/// Members of the object that a text is.
const MEMBERS_MAX: usize = 64;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`, `true` or `false`.
    Word(&'static str),
    /// A number as it is written.
    Number(String),
    /// A string, decoded.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, its members in order; a name may come twice.
    Object(Vec<(String, Json)>),
}

/// Reads a text that is one object of few members without repeated ones, and nothing else.
pub fn object(text: &str) -> Option<Vec<(String, Json)>> {
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    reader.space();
    require(reader.rest.is_empty())?;
    let Json::Object(members) = value else {
        return None;
    };
    require(members.len() <= MEMBERS_MAX)?;
    let is_new = |at: usize| members[..at].iter().all(|(name, _)| *name != members[at].0);
    require((0..members.len()).all(is_new))?;
    Some(members)
}

/// What of a text is still to be read.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// A value inside of `depth` others, with the white space before it.
    fn value(&mut self, depth: usize) -> Option<Json> {
        self.space();
        match self.rest.chars().next()? {
            '{' => self.members(depth).map(Json::Object),
            '[' => self.elements(depth).map(Json::Array),
            '"' => self.text().map(Json::Text),
            '-' | '0'..='9' => self.number().map(Json::Number),
            _ => self.word().map(Json::Word),
        }
    }

    fn members(&mut self, depth: usize) -> Option<Vec<(String, Json)>> {
        self.list('{', '}', depth, |reader| {
            reader.space();
            let name = reader.text()?;
            reader.space();
            reader.take(':')?;
            Some((name, reader.value(depth + 1)?))
        })
    }

    fn elements(&mut self, depth: usize) -> Option<Vec<Json>> {
        self.list('[', ']', depth, |reader| reader.value(depth + 1))
    }

    /// Items with commas between them, in brackets.
    fn list<T>(
        &mut self,
        open: char,
        close: char,
        depth: usize,
        item: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        require(depth < DEPTH_MAX)?;
        self.take(open)?;
        self.space();
        let mut items = Vec::new();
        if self.take(close).is_some() {
            return Some(items);
        }
        loop {
            items.push(item(self)?);
            self.space();
            if self.take(close).is_some() {
                return Some(items);
            }
            self.take(',')?;
        }
    }

    /// A string, gathered as UTF-16: that is what its escapes are written in, and it knows what
    /// a lone surrogate is.
    fn text(&mut self) -> Option<String> {
        self.take('"')?;
        let mut units = Vec::new();
        loop {
            match self.next()? {
                '"' => return String::from_utf16(&units).ok(),
                '\\' => units.push(self.escape()?),
                '\0'..='\x1f' => return None,
                c => units.extend(c.encode_utf16(&mut [0; 2]).iter()),
            }
        }
    }

    fn escape(&mut self) -> Option<u16> {
        Some(match self.next()? {
            'u' => return self.code_unit(),
            'b' => 0x08,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            c @ ('"' | '\\' | '/') => c as u16,
            _ => return None,
        })
    }

    fn code_unit(&mut self) -> Option<u16> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit * 16 + self.next()?.to_digit(16)?;
        }
        Some(unit as u16)
    }

    /// Everything that looks like a number, which then must be one.
    fn number(&mut self) -> Option<String> {
        let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let (number, rest) = match self.rest.find(|c| !is_part(c)) {
            Some(end) => self.rest.split_at(end),
            None => (self.rest, ""),
        };
        require(is_number(number))?;
        self.rest = rest;
        Some(number.into())
    }

    fn word(&mut self) -> Option<&'static str> {
        let mut words = ["null", "true", "false"].into_iter();
        let word = words.find(|word| self.rest.starts_with(word))?;
        self.rest = &self.rest[word.len()..];
        Some(word)
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, c: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(c)?;
        Some(())
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }
}

/// RFC 8259 §6: `[minus] int [frac] [exp]`.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent),
        None => (text, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let leads_with_zero = whole.len() > 1 && whole.starts_with('0');
    are_digits(whole) && !leads_with_zero && are_digits(fraction) && are_digits(exponent)
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}
