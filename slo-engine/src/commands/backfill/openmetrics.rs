//! OpenMetrics text with many series: families stay together whatever order their samples come in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};
use std::path::Path;

type Families = BTreeMap<String, BufWriter<File>>;

/// Collects families in temporary files, so that memory does not grow with the samples. Samples from some moment on are kept
/// apart.
#[derive(Debug)]
pub(super) struct Spool<'a> {
    dir: &'a Path,
    split_ms: i64,
    old: Families,
    recent: Families,
    /// Samples so far.
    pub(super) samples: u64,
}

impl<'a> Spool<'a> {
    /// Temporary files (already unlinked) go to this directory: it needs room for a second copy of the output. From
    /// `split_ms` on (milliseconds since 1970) samples are recent.
    pub(super) const fn new(dir: &'a Path, split_ms: i64) -> Self {
        Self { dir, split_ms, old: Families::new(), recent: Families::new(), samples: 0 }
    }

    /// Adds one series; its samples must be in order of time.
    pub(super) fn series(
        &mut self,
        name: &str,
        labels: &BTreeMap<String, String>,
        samples: impl Iterator<Item = (i64, f64)>,
    ) -> io::Result<()> {
        let head = head(name, labels);
        for (at_ms, value) in samples {
            let families = if at_ms < self.split_ms { &mut self.old } else { &mut self.recent };
            let file = match families.get_mut(name) {
                Some(file) => file,
                None => families
                    .entry(name.to_owned())
                    .or_insert(BufWriter::new(tempfile::tempfile_in(self.dir)?)),
            };
            let (seconds, ms) = (at_ms.div_euclid(1_000), at_ms.rem_euclid(1_000));
            if ms == 0 {
                writeln!(file, "{head} {value} {seconds}")?;
            } else {
                writeln!(file, "{head} {value} {seconds}.{ms:03}")?;
            }
            self.samples += 1;
        }
        Ok(())
    }

    /// Whether there are any from the split on.
    pub(super) fn has_recent(&self) -> bool {
        !self.recent.is_empty()
    }

    /// Writes the samples before the split, and those from it on (to the same stream without a second one).
    pub(super) fn finish(self, out: &mut dyn Write, recent: Option<&mut dyn Write>) -> io::Result<()> {
        let Self { old, recent: mut late, .. } = self;
        let Some(recent) = recent else {
            for (name, early) in old {
                write_family(&name, [Some(early), late.remove(&name)], out)?;
            }
            return write_families(late, out);
        };
        write_families(old, out)?;
        write_families(late, recent)
    }
}

fn write_families(families: Families, out: &mut dyn Write) -> io::Result<()> {
    for (name, family) in families {
        write_family(&name, [Some(family), None], out)?;
    }
    writeln!(out, "# EOF")
}

fn write_family(name: &str, parts: [Option<BufWriter<File>>; 2], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# TYPE {name} gauge")?;
    for part in parts.into_iter().flatten() {
        let mut file = part.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        io::copy(&mut file, out)?;
    }
    Ok(())
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

    fn filled(dir: &Path, split_ms: i64) -> Spool<'_> {
        let mut spool = Spool::new(dir, split_ms);
        let labels = |value: &str| {
            BTreeMap::from([("a".to_owned(), value.to_owned()), ("b".to_owned(), "c".to_owned())])
        };
        spool.series("z", &labels("1"), [(1_500, 0.1), (2_000, 1e21)].into_iter()).unwrap();
        spool.series("slo:y", &BTreeMap::new(), [(-1, 1e-7)].into_iter()).unwrap();
        spool.series("z", &labels("q\"\\\n"), [(0, 3.0)].into_iter()).unwrap();
        assert_eq!(spool.samples, 4);
        spool
    }

    #[test]
    fn families_are_together_sorted_and_escaped() {
        let dir = tempfile::tempdir().unwrap();
        for split in [-10, 10_000] {
            let mut out = Vec::new();
            filled(dir.path(), split).finish(&mut out, None).unwrap();
            assert_eq!(
                String::from_utf8(out).unwrap(),
                "# TYPE slo:y gauge\nslo:y 0.0000001 -1.999\n# TYPE z gauge\nz{a=\"1\",b=\"c\"} 0.1 1.500\n\
                 z{a=\"1\",b=\"c\"} 1000000000000000000000 2\nz{a=\"q\\\"\\\\\\n\",b=\"c\"} 3 0\n# EOF\n"
            );
        }
    }

    #[test]
    fn recent_samples_are_kept_apart() {
        let dir = tempfile::tempdir().unwrap();
        let spool = filled(dir.path(), 2_000);
        assert!(spool.has_recent());
        let (mut old, mut recent) = (Vec::new(), Vec::new());
        spool.finish(&mut old, Some(&mut recent)).unwrap();
        assert_eq!(old.split(|byte| *byte == b'\n').count(), 7);
        assert_eq!(
            String::from_utf8(recent).unwrap(),
            "# TYPE z gauge\nz{a=\"1\",b=\"c\"} 1000000000000000000000 2\n# EOF\n"
        );
    }
}
