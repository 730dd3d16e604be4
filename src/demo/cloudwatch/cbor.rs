//! CBOR bodies of Smithy's RPC v2: one value to read requests into and to write answers from.
//!
//! Numbers that the model calls doubles are written as such also where they are whole: clients refuse an integer there.

use jiff::Timestamp;
use minicbor::data::{IanaTag, Tag, Type};
use minicbor::decode::Decoder;
use minicbor::encode::Encoder;

/// How deep a body may be nested; requests of this service need six.
const DEEPEST: u32 = 32;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cbor {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any number.
    Float(f64),
    /// Text.
    Text(String),
    /// A moment, to the millisecond on the wire.
    Time(Timestamp),
    /// Values in order.
    List(Vec<Self>),
    /// Fields in order.
    Map(Vec<(String, Self)>),
}

impl From<&str> for Cbor {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cbor {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Timestamp> for Cbor {
    fn from(at: Timestamp) -> Self {
        Self::Time(at)
    }
}

impl From<f64> for Cbor {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<i64> for Cbor {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Cbor {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Cbor {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

/// Makes a map of the fields that are there.
pub fn map<const N: usize>(fields: [(&str, Option<Cbor>); N]) -> Cbor {
    let present = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Cbor::Map(present.collect())
}

/// Makes a field that is there.
pub fn some(value: impl Into<Cbor>) -> Option<Cbor> {
    Some(value.into())
}

impl Cbor {
    /// Reads a body; nothing at all is an empty map.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Ok(Self::Map(Vec::new()));
        }
        value(&mut Decoder::new(bytes), 0)
    }

    /// Writes a body.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Writing into memory cannot fail.
        let _ = put(&mut Encoder::new(&mut bytes), self);
        bytes
    }

    /// Returns a field; nothing where it is absent.
    pub fn get(&self, name: &str) -> &Self {
        match self {
            Self::Map(fields) => {
                fields.iter().find(|(field, _)| field == name).map_or(&Self::Null, |(_, value)| value)
            }
            _ => &Self::Null,
        }
    }

    /// Returns the text; `None` where it is something else.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Returns the whole number; `None` where it is something else.
    pub fn int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// Returns the truth value; `None` where it is something else.
    pub fn flag(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// Returns the moment; `None` where it is something else.
    pub fn time(&self) -> Option<Timestamp> {
        if let Self::Time(at) = self { Some(*at) } else { None }
    }

    /// Returns the values of a list; none where it is something else.
    pub fn list(&self) -> &[Self] {
        if let Self::List(list) = self { list } else { &[] }
    }

    /// Returns the texts of a list.
    pub fn texts(&self) -> Vec<&str> {
        self.list().iter().filter_map(Self::text).collect()
    }
}

fn value(decoder: &mut Decoder<'_>, depth: u32) -> Result<Cbor, String> {
    if depth > DEEPEST {
        return Err("the body is nested too deeply".to_owned());
    }
    let wrong = |error: minicbor::decode::Error| error.to_string();
    Ok(match decoder.datatype().map_err(wrong)? {
        Type::Bool => Cbor::Bool(decoder.bool().map_err(wrong)?),
        Type::Null => {
            decoder.null().map_err(wrong)?;
            Cbor::Null
        }
        Type::Undefined => {
            decoder.undefined().map_err(wrong)?;
            Cbor::Null
        }
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
            Cbor::Int(decoder.i64().map_err(wrong)?)
        }
        Type::F16 | Type::F32 | Type::F64 => Cbor::Float(decoder.f64().map_err(wrong)?),
        Type::String => Cbor::Text(decoder.str().map_err(wrong)?.to_owned()),
        Type::StringIndef => {
            let parts: Result<String, _> = decoder.str_iter().map_err(wrong)?.collect();
            Cbor::Text(parts.map_err(wrong)?)
        }
        Type::Tag => {
            let tag = decoder.tag().map_err(wrong)?;
            if tag != Tag::from(IanaTag::Timestamp) {
                return Err("the body has a tag that is no time".to_owned());
            }
            let seconds = match value(decoder, depth + 1)? {
                Cbor::Int(seconds) => seconds as f64,
                Cbor::Float(seconds) => seconds,
                _ => return Err("a time is no number".to_owned()),
            };
            let at = Timestamp::from_millisecond((seconds * 1000.0).round() as i64);
            Cbor::Time(at.map_err(|error| error.to_string())?)
        }
        Type::Array | Type::ArrayIndef => {
            let mut left = decoder.array().map_err(wrong)?;
            let mut list = Vec::new();
            while more(decoder, &mut left)? {
                list.push(value(decoder, depth + 1)?);
            }
            Cbor::List(list)
        }
        Type::Map | Type::MapIndef => {
            let mut left = decoder.map().map_err(wrong)?;
            let mut fields = Vec::new();
            while more(decoder, &mut left)? {
                let Cbor::Text(name) = value(decoder, depth + 1)? else {
                    return Err("a field's name is no text".to_owned());
                };
                fields.push((name, value(decoder, depth + 1)?));
            }
            Cbor::Map(fields)
        }
        other => return Err(format!("the body has a value of type {other}")),
    })
}

/// Tells whether another element comes, and takes the end of an open one.
fn more(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, String> {
    match left {
        Some(0) => Ok(false),
        Some(count) => {
            *count -= 1;
            Ok(true)
        }
        None => {
            let ends = decoder.datatype().map_err(|error| error.to_string())? == Type::Break;
            if ends {
                decoder.skip().map_err(|error| error.to_string())?;
            }
            Ok(!ends)
        }
    }
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn put(encoder: &mut Encoder<&mut Vec<u8>>, value: &Cbor) -> Written {
    match value {
        Cbor::Null => encoder.null()?,
        Cbor::Bool(value) => encoder.bool(*value)?,
        Cbor::Int(value) => encoder.i64(*value)?,
        Cbor::Float(value) => encoder.f64(*value)?,
        Cbor::Text(text) => encoder.str(text)?,
        Cbor::Time(at) => encoder.tag(IanaTag::Timestamp)?.f64(at.as_millisecond() as f64 / 1000.0)?,
        Cbor::List(list) => {
            encoder.array(list.len() as u64)?;
            for entry in list {
                put(encoder, entry)?;
            }
            encoder
        }
        Cbor::Map(fields) => {
            encoder.map(fields.len() as u64)?;
            for (name, field) in fields {
                encoder.str(name)?;
                put(encoder, field)?;
            }
            encoder
        }
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let at: Timestamp = "2026-03-02T09:00:00.25Z".parse().unwrap();
        let body = map([
            ("Name", some("ü")),
            ("Count", some(-3_i64)),
            ("Value", some(2.0)),
            ("At", some(at)),
            ("Absent", None),
            ("List", some(vec![Cbor::Null, true.into()])),
        ]);
        assert_eq!(Cbor::read(&body.write()).unwrap(), body);
    }

    #[test]
    fn open_maps_and_lists_are_read() {
        // {_ "a": [_ 1, 1(2)]}, as clients write what they stream.
        let bytes = [0xbf, 0x61, b'a', 0x9f, 0x01, 0xc1, 0x02, 0xff, 0xff];
        let read = Cbor::read(&bytes).unwrap();
        assert_eq!(read.get("a").list()[0], Cbor::Int(1));
        assert_eq!(read.get("a").list()[1].time().unwrap().as_second(), 2);
    }

    #[test]
    fn rubbish_is_refused() {
        for bytes in [&[0xff][..], &[0xa1, 0x01, 0x02], &[0xc2, 0x41, 0x00], &[0x9f; 64], &[0x61]] {
            assert!(Cbor::read(bytes).is_err(), "{bytes:?}");
        }
    }
}
