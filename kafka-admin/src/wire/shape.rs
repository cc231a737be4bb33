//! What an answer looks like, as far as lengths go.
//!
//! A walk over the bytes before they are decoded: every string and every element of an array has to be there. It bounds
//! what the codec allocates by what was received.

/// Elements and tags that one answer may hold, so that tiny ones do not multiply into gigabytes.
const MAX_ITEMS: usize = 2_000_000;

/// The fields of a message.
pub(crate) struct Shape {
    /// First version with compact lengths and tagged fields.
    pub(crate) flexible: i16,
    /// In their order.
    pub(crate) fields: &'static [Field],
    /// Tagged fields of the message itself that the codec knows.
    pub(crate) tags: &'static [(u32, Kind)],
}

/// A field and the versions that have it.
pub(crate) struct Field {
    pub(crate) versions: (i16, i16),
    pub(crate) kind: Kind,
}

/// How the length of a field is found.
pub(crate) enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// Nullable or not.
    String,
    /// Nullable or not.
    Bytes,
    /// Of what is not a struct.
    Array(&'static Kind),
    /// Of structs.
    Structs(&'static [Field]),
}

pub(crate) const INT8: Kind = Kind::Fixed(1);
pub(crate) const INT16: Kind = Kind::Fixed(2);
pub(crate) const INT32: Kind = Kind::Fixed(4);
pub(crate) const INT64: Kind = Kind::Fixed(8);
pub(crate) const UUID: Kind = Kind::Fixed(16);

/// In all versions.
pub(crate) const fn always(kind: Kind) -> Field {
    Field { versions: (0, i16::MAX), kind }
}

/// From this version on.
pub(crate) const fn since(version: i16, kind: Kind) -> Field {
    Field { versions: (version, i16::MAX), kind }
}

/// Checks a whole frame: correlation id, the header's tags if it has them, the message.
pub(crate) fn check(frame: &[u8], tagged_header: bool, shape: &Shape, version: i16) -> Result<(), String> {
    let mut walk = Walk { rest: frame, flexible: version >= shape.flexible, version, items: 0 };
    walk.skip(4)?;
    if tagged_header {
        walk.tags(&[])?;
    }
    walk.fields(shape.fields)?;
    if walk.flexible {
        walk.tags(shape.tags)?;
    }
    match walk.rest.len() {
        0 => Ok(()),
        left => Err(format!("{left} bytes follow its end")),
    }
}

struct Walk<'a> {
    rest: &'a [u8],
    flexible: bool,
    version: i16,
    items: usize,
}

impl<'a> Walk<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| format!("{length} bytes are announced and {} are there", self.rest.len()))?;
        self.rest = rest;
        Ok(taken)
    }

    fn skip(&mut self, length: usize) -> Result<(), String> {
        self.take(length).map(drop)
    }

    fn unsigned(&mut self) -> Result<u32, String> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?.first().copied().unwrap_or_default();
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number does not end".to_owned())
    }

    /// Length of a string, of bytes, of an array; 0 for null.
    fn length(&mut self, width: usize) -> Result<usize, String> {
        if self.flexible {
            return Ok(self.unsigned()?.saturating_sub(1) as usize);
        }
        let signed = match *self.take(width)? {
            [high, low] => i32::from(i16::from_be_bytes([high, low])),
            [a, b, c, d] => i32::from_be_bytes([a, b, c, d]),
            _ => -2,
        };
        match signed {
            -1 => Ok(0),
            length => usize::try_from(length).map_err(|_| format!("a length is {length}")),
        }
    }

    /// Counts elements, so that they cannot be more than what is left to read.
    fn count(&mut self, items: usize) -> Result<usize, String> {
        self.items = self.items.saturating_add(items);
        match items > self.rest.len() || self.items > MAX_ITEMS {
            true => Err(format!("{items} elements are announced in {} bytes", self.rest.len())),
            false => Ok(items),
        }
    }

    fn fields(&mut self, fields: &[Field]) -> Result<(), String> {
        let version = self.version;
        let in_use = |field: &&Field| (field.versions.0..=field.versions.1).contains(&version);
        fields.iter().filter(in_use).try_for_each(|field| self.field(&field.kind))
    }

    fn field(&mut self, kind: &Kind) -> Result<(), String> {
        match kind {
            Kind::Fixed(length) => self.skip(*length),
            Kind::String => self.length(2).and_then(|length| self.skip(length)),
            Kind::Bytes => self.length(4).and_then(|length| self.skip(length)),
            Kind::Array(element) => {
                let length = self.length(4)?;
                (0..self.count(length)?).try_for_each(|_| self.field(element))
            }
            Kind::Structs(fields) => {
                let length = self.length(4)?;
                for _ in 0..self.count(length)? {
                    self.fields(fields)?;
                    if self.flexible {
                        self.tags(&[])?;
                    }
                }
                Ok(())
            }
        }
    }

    fn tags(&mut self, known: &[(u32, Kind)]) -> Result<(), String> {
        let count = self.unsigned()? as usize;
        for _ in 0..self.count(count)? {
            let (tag, size) = (self.unsigned()?, self.unsigned()? as usize);
            match known.iter().find(|(number, _)| *number == tag) {
                None => self.skip(size)?,
                Some((_, kind)) => {
                    let before = self.rest.len();
                    self.field(kind)?;
                    if before - self.rest.len() != size {
                        return Err(format!("tagged field {tag} is not {size} bytes long"));
                    }
                }
            }
        }
        Ok(())
    }
}
