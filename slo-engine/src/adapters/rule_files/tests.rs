use super::*;
use crate::output::Header;

const HEADER: Header = Header { version: "1", profile: "lean" };

fn write(tree: &RuleTree, relative: &str, parts: &[&str]) -> StagedFiles {
    let mut output = tree.output(Path::new(relative));
    for (index, text) in parts.iter().enumerate() {
        output.start(index + 1).unwrap();
        output.write(HEADER.line(index + 1).as_bytes()).unwrap();
        output.write(text.as_bytes()).unwrap();
    }
    output.finish().unwrap()
}

fn files(root: &Path) -> Vec<String> {
    fn below(root: &Path, directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(root, &path, found);
            }
            found.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
    let mut found = Vec::new();
    below(root, root, &mut found);
    found.sort();
    found
}

#[test]
fn a_tree_appears_at_once_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("rules");
    let tree = RuleTree::open(&root).unwrap();
    write(&tree, "a/b.yaml", &["x"]);
    tree.abandon();
    assert!(!root.try_exists().unwrap());

    let tree = RuleTree::open(&root).unwrap();
    let outputs = vec![write(&tree, "a/b.yaml", &["x"]), write(&tree, "c.yml", &["y", "z"])];
    tree.commit(outputs).unwrap();
    assert_eq!(files(&root), ["a", "a/b.yaml", "c.part2.yml", "c.yml"]);
    assert!(fs::read_to_string(root.join("c.part2.yml")).unwrap().ends_with("\nz"));
}

#[test]
fn parts_that_are_no_longer_needed_go() {
    let directory = tempfile::tempdir().unwrap();
    let put = |parts: &[&str]| {
        let tree = RuleTree::open(directory.path()).unwrap();
        let outputs = vec![write(&tree, "a.yaml", parts)];
        tree.commit(outputs).unwrap();
    };
    put(&["1", "2", "3"]);
    fs::copy(directory.path().join("a.yaml"), directory.path().join("a.part4.yaml")).unwrap();
    put(&["1"]);
    assert_eq!(
        files(directory.path()),
        ["a.part4.yaml", "a.yaml"],
        "a.part4 is no part: its first line does not say so"
    );
}

#[test]
fn pruning_takes_only_what_this_program_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let tree = RuleTree::open(directory.path()).unwrap();
    let outputs =
        ["keep.yaml", "gone.yaml", "sub/gone.yaml", "mixed/gone.yml"].map(|name| write(&tree, name, &[""]));
    tree.commit(outputs.into()).unwrap();
    AtomicFile::create(&directory.path().join("mixed/mine.yml")).unwrap().finish().unwrap().commit().unwrap();
    AtomicFile::create(&directory.path().join("mine.txt")).unwrap().finish().unwrap().commit().unwrap();
    fs::create_dir(directory.path().join("empty")).unwrap();

    let removed = prune(directory.path(), &|path| path == Path::new("keep.yaml")).unwrap();
    let removed: Vec<_> = removed.iter().map(|path| path.strip_prefix(directory.path()).unwrap()).collect();
    assert_eq!(removed, ["gone.yaml", "mixed/gone.yml", "sub/gone.yaml"].map(Path::new));
    assert_eq!(files(directory.path()), ["empty", "keep.yaml", "mine.txt", "mixed", "mixed/mine.yml"]);
}

#[test]
fn a_single_file_is_split_into_numbered_neighbours() {
    let directory = tempfile::tempdir().unwrap();
    let put = |parts: usize| {
        let mut file = SingleFile::new(directory.path().join("rules"));
        for part in 1..=parts {
            file.start(part).unwrap();
            file.write(HEADER.line(part).as_bytes()).unwrap();
        }
        file.commit().unwrap();
    };
    put(3);
    assert_eq!(files(directory.path()), ["rules", "rules.part2", "rules.part3"]);
    put(2);
    assert_eq!(files(directory.path()), ["rules", "rules.part2"]);
}

#[test]
fn permissions_of_a_replaced_file_are_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.yaml");
    for _ in 0..2 {
        let tree = RuleTree::open(directory.path()).unwrap();
        let outputs = vec![write(&tree, "a.yaml", &["x"])];
        tree.commit(outputs).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o604);
}

#[test]
fn a_part_knows_its_whole() {
    for (part, whole) in [
        ("a/b.part2.yaml", "a/b.yaml"),
        ("b.part2", "b.part2"),
        ("b.part1.yml", "b.part1.yml"),
        ("b.yml", "b.yml"),
    ] {
        assert_eq!(whole_path(Path::new(part)), Path::new(whole));
    }
}
