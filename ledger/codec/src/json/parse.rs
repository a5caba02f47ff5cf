//! The reader: recursive descent over bytes that are known to be UTF-8.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{DEPTH_CEILING, INTEGER_MAX, Json, JsonError, Limits};

pub(super) fn parse(bytes: &[u8], limits: Limits) -> Result<Json, JsonError> {
    if bytes.len() > limits.bytes_max {
        return Err(JsonError::TooLong { length: bytes.len(), limit: limits.bytes_max });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::Utf8)?;
    let mut parser = Parser { text, offset: 0, depth_max: limits.depth_max.min(DEPTH_CEILING) };
    let value = parser.value(0)?;
    parser.skip_space();
    if parser.offset < text.len() {
        return Err(JsonError::Trailing { offset: parser.offset });
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a str,
    offset: usize,
    depth_max: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.offset).copied()
    }

    fn next(&mut self) -> Result<u8, JsonError> {
        let byte = self.peek().ok_or_else(|| self.syntax())?;
        self.offset += 1;
        Ok(byte)
    }

    fn eat(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.offset += 1;
        }
        found
    }

    fn expect(&mut self, expected: u8) -> Result<(), JsonError> {
        if self.eat(expected) { Ok(()) } else { Err(self.syntax()) }
    }

    fn syntax(&self) -> JsonError {
        JsonError::Syntax { offset: self.offset }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.offset += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(self.deeper(depth)?).map(Json::Object),
            Some(b'[') => self.array(self.deeper(depth)?).map(Json::Array),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.integer().map(Json::Int),
            Some(b't') => self.literal("true", Json::Bool(true)),
            Some(b'f') => self.literal("false", Json::Bool(false)),
            Some(b'n') => self.literal("null", Json::Null),
            _ => Err(self.syntax()),
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, JsonError> {
        if depth >= self.depth_max {
            Err(JsonError::TooDeep { limit: self.depth_max })
        } else {
            Ok(depth + 1)
        }
    }

    fn literal(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        for byte in word.bytes() {
            self.expect(byte)?;
        }
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Json>, JsonError> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Ok(items);
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_space();
            if self.eat(b']') {
                return Ok(items);
            }
            self.expect(b',')?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<BTreeMap<String, Json>, JsonError> {
        self.expect(b'{')?;
        let mut members = BTreeMap::new();
        self.skip_space();
        if self.eat(b'}') {
            return Ok(members);
        }
        loop {
            self.skip_space();
            let offset = self.offset;
            let key = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            let value = self.value(depth)?;
            match members.entry(key) {
                Entry::Vacant(place) => place.insert(value),
                Entry::Occupied(_) => return Err(JsonError::DuplicateKey { offset }),
            };
            self.skip_space();
            if self.eat(b'}') {
                return Ok(members);
            }
            self.expect(b',')?;
        }
    }

    fn integer(&mut self) -> Result<i64, JsonError> {
        let offset = self.offset;
        let negative = self.eat(b'-');
        let digits = self.offset;
        let mut magnitude: i64 = 0;
        let mut in_range = true;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            self.offset += 1;
            // Sixteen digits fit an i64 with room; whatever is longer is out of range anyway.
            in_range &= self.offset - digits <= 16;
            if in_range {
                magnitude = magnitude * 10 + i64::from(digit - b'0');
            }
        }
        let length = self.offset - digits;
        if length == 0 || (length > 1 && self.text.as_bytes().get(digits) == Some(&b'0')) {
            return Err(JsonError::Syntax { offset });
        }
        let fractional = matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        if fractional || !in_range || magnitude > INTEGER_MAX || (negative && magnitude == 0) {
            return Err(JsonError::Number { offset });
        }
        Ok(if negative { -magnitude } else { magnitude })
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.expect(b'"')?;
        let mut text = String::new();
        loop {
            // Runs between escapes are copied whole. They end at ASCII bytes, so they are whole characters.
            let start = self.offset;
            while self.peek().is_some_and(|byte| byte != b'"' && byte != b'\\' && byte >= 0x20) {
                self.offset += 1;
            }
            text.push_str(self.text.get(start..self.offset).ok_or_else(|| self.syntax())?);
            match self.next()? {
                b'"' => return Ok(text),
                b'\\' => text.push(self.escape()?),
                _ => return Err(JsonError::Syntax { offset: self.offset - 1 }),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        Ok(match self.next()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(JsonError::Syntax { offset: self.offset - 1 }),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let offset = self.offset;
        let first = self.four_hex()?;
        let code_point = match first {
            0xd800..=0xdbff => {
                if !(self.eat(b'\\') && self.eat(b'u')) {
                    return Err(JsonError::Surrogate { offset });
                }
                match self.four_hex()? {
                    second @ 0xdc00..=0xdfff => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => return Err(JsonError::Surrogate { offset }),
                }
            }
            other => other,
        };
        // Only a low surrogate without its pair is not a character here.
        char::from_u32(code_point).ok_or(JsonError::Surrogate { offset })
    }

    fn four_hex(&mut self) -> Result<u32, JsonError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = char::from(self.next()?).to_digit(16);
            value = value * 16 + digit.ok_or(JsonError::Syntax { offset: self.offset - 1 })?;
        }
        Ok(value)
    }
}
