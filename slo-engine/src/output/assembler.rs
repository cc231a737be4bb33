//! Groups in, files out: section heads, document marks, splitting by size.

use std::io::{self, Write};

use super::{Header, Section};

/// Where the files of one output go. A split output has several.
pub trait Parts {
    /// Starts the n-th file (from 1); what was written before is complete.
    ///
    /// # Errors
    /// The file cannot be made.
    fn start(&mut self, part: usize) -> io::Result<()>;

    /// Appends to the file started last.
    ///
    /// # Errors
    /// Writing failed.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// One file that cannot be split.
impl<W: Write> Parts for W {
    fn start(&mut self, part: usize) -> io::Result<()> {
        if part > 1 {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this output cannot be split into files"));
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
}

/// Why an output could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Writing failed.
    #[error("cannot write the rules")]
    Io(#[from] io::Error),
    /// Even alone the group does not fit.
    #[error(
        "group {group} has {size} bytes with its head, more than --max-bytes {max}: nothing smaller can be split off"
    )]
    GroupTooLarge {
        /// Its name.
        group: String,
        /// Bytes of the smallest file that holds it.
        size: usize,
        /// What was allowed.
        max: usize,
    },
}

/// Puts one output together.
///
/// Plain groups of all documents share one `groups:` list, since Prometheus reads only the first document of a file;
/// objects and namespaces are documents of their own.
pub struct Assembler<P> {
    parts: P,
    header: Header,
    max: usize,
    /// Files started, and bytes in the last.
    part: usize,
    size: usize,
    /// What groups go into, whether its head still has to be written, and how many objects it already is.
    section: Option<Section>,
    fresh: bool,
    objects: usize,
    /// Objects that come after plain groups wait here, so that more plain groups can join the list.
    later: Option<Box<Assembler<Vec<u8>>>>,
    /// The current section is there.
    to_later: bool,
    in_groups: bool,
}

impl<P: Parts> Assembler<P> {
    /// An output whose files (and objects) are at most `max` bytes; `None` never splits.
    pub fn new(parts: P, header: Header, max: Option<usize>) -> Self {
        Self {
            parts,
            header,
            max: max.unwrap_or(usize::MAX),
            part: 0,
            size: 0,
            section: None,
            fresh: false,
            objects: 0,
            later: None,
            to_later: false,
            in_groups: false,
        }
    }

    /// Starts what the groups of the next document go into.
    ///
    /// # Errors
    /// [`OutputError`].
    pub fn begin(&mut self, section: &Section) -> Result<(), OutputError> {
        self.end()?;
        self.to_later = self.in_groups && section.is_object();
        if self.to_later {
            return self.later().begin(section);
        }
        if section.is_object() || self.section.as_ref() != Some(section) {
            self.section = Some(section.clone());
            self.fresh = true;
            self.objects = 0;
        }
        Ok(())
    }

    /// Appends a group of the section begun last, as [`Section::render`] wrote it.
    ///
    /// # Errors
    /// [`OutputError`].
    pub fn group(&mut self, name: &str, rendered: &str) -> Result<(), OutputError> {
        if self.to_later {
            return self.later().group(name, rendered);
        }
        let Some(section) = self.section.take() else { return Ok(()) };
        self.in_groups |= section == Section::Groups;
        if self.fresh || self.size + rendered.len() > self.max {
            self.head(&section, rendered.len(), name)?;
        }
        self.section = Some(section);
        self.append(rendered.as_bytes())
    }

    /// Completes the output and gives back its files and their number.
    ///
    /// # Errors
    /// [`OutputError`].
    pub fn finish(mut self) -> Result<(P, usize), OutputError> {
        self.end()?;
        if self.part == 0 {
            self.start_file()?;
        }
        if let Some(later) = self.later.take() {
            let (documents, _) = later.finish()?;
            self.append(&documents)?;
        }
        Ok((self.parts, self.part))
    }

    /// An object without groups is written all the same: it replaces what a cluster holds under its name.
    fn end(&mut self) -> Result<(), OutputError> {
        match self.section.take() {
            Some(section) if self.fresh && section.is_object() => self.head(&section, 0, ""),
            section => {
                self.section = section;
                Ok(())
            }
        }
    }

    /// The head of a section, or of its continuation in another object or file, with room for a group of this size.
    fn head(&mut self, section: &Section, group: usize, name: &str) -> Result<(), OutputError> {
        const MARK: &str = "---\n";
        self.objects += 1;
        let part = if section.is_object() { self.objects } else { 1 };
        let head = section.head(part, group == 0);
        let goes_on = !self.fresh;
        self.fresh = false;
        if section.is_object() {
            if self.part == 0 {
                self.start_file()?;
            } else {
                self.append(MARK.as_bytes())?;
            }
            // Each object counts for itself.
            self.size = 0;
        } else if self.part == 0 || goes_on || self.size + MARK.len() + head.len() + group > self.max {
            self.start_file()?;
        } else {
            self.append(MARK.as_bytes())?;
        }
        let size = self.size + head.len() + group;
        if size > self.max {
            return Err(OutputError::GroupTooLarge { group: name.to_owned(), size, max: self.max });
        }
        self.append(head.as_bytes())
    }

    fn start_file(&mut self) -> Result<(), OutputError> {
        self.part += 1;
        self.parts.start(self.part)?;
        self.size = 0;
        let line = self.header.line(self.part);
        self.append(line.as_bytes())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.size = self.size.saturating_add(bytes.len());
        Ok(self.parts.write(bytes)?)
    }

    fn later(&mut self) -> &mut Assembler<Vec<u8>> {
        self.later.get_or_insert_with(|| {
            let mut later = Assembler::new(Vec::new(), self.header.clone(), Some(self.max));
            // It continues a file: a document mark first, no header line.
            later.part = 1;
            Box::new(later)
        })
    }
}

#[cfg(test)]
mod tests;
