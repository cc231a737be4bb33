//! OpenMetrics text with many series: families stay together whatever order their samples come in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};
use std::path::Path;

/// Collects families in temporary files, so that memory does not grow with the samples.
#[derive(Debug)]
pub(super) struct Spool<'a> {
    dir: &'a Path,
    families: BTreeMap<String, BufWriter<File>>,
    /// Samples so far.
    pub(super) samples: u64,
}

impl<'a> Spool<'a> {
    /// Temporary files (already unlinked) go to this directory: it needs room for a second copy of the output.
    pub(super) fn new(dir: &'a Path) -> Self {
        Self { dir, families: BTreeMap::new(), samples: 0 }
    }

    /// Adds one series; its samples must be in order of time.
    pub(super) fn series(
        &mut self,
        name: &str,
        labels: &BTreeMap<String, String>,
        samples: impl Iterator<Item = (i64, f64)>,
    ) -> io::Result<()> {
        if !self.families.contains_key(name) {
            let file = BufWriter::new(tempfile::tempfile_in(self.dir)?);
            self.families.insert(name.to_owned(), file);
        }
        let Some(file) = self.families.get_mut(name) else { return Ok(()) };
        let head = head(name, labels);
        for (at_ms, value) in samples {
            let (seconds, ms) = (at_ms.div_euclid(1_000), at_ms.rem_euclid(1_000));
            if ms == 0 {
                writeln!(file, "{head} {value} {seconds}")?;
            } else {
                writeln!(file, "{head} {value} {}", format_args!("{seconds}.{ms:03}"))?;
            }
            self.samples += 1;
        }
        Ok(())
    }

    /// Writes everything, families sorted by name.
    pub(super) fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        for (name, family) in self.families {
            let mut file = family.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.rewind()?;
            writeln!(out, "# TYPE {name} gauge")?;
            io::copy(&mut file, out)?;
        }
        writeln!(out, "# EOF")
    }
}

fn head(name: &str, labels: &BTreeMap<String, String>) -> String {
    let mut text = name.to_owned();
    for (index, (key, value)) in labels.iter().enumerate() {
        let open = if index == 0 { '{' } else { ',' };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        // Writing to a String cannot fail.
        write!(text, "{open}{key}=\"{value}\"").unwrap_or_default();
    }
    if !labels.is_empty() {
        text.push('}');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_together_sorted_and_escaped() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(dir.path());
        let labels = |value: &str| BTreeMap::from([("a".to_owned(), value.to_owned()), ("b".to_owned(), "c".to_owned())]);
        spool.series("z", &labels("1"), [(1_500, 0.1), (2_000, 1e21)].into_iter()).unwrap();
        spool.series("slo:y", &BTreeMap::new(), [(-1, 1e-7)].into_iter()).unwrap();
        spool.series("z", &labels("q\"\\\n"), [(0, 3.0)].into_iter()).unwrap();
        assert_eq!(spool.samples, 4);
        let mut out = Vec::new();
        spool.finish(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "# TYPE slo:y gauge\nslo:y 0.0000001 -1.999\n# TYPE z gauge\nz{a=\"1\",b=\"c\"} 0.1 1.500\n\
             z{a=\"1\",b=\"c\"} 1000000000000000000000 2\nz{a=\"q\\\"\\\\\\n\",b=\"c\"} 3 0\n# EOF\n"
        );
    }
}
