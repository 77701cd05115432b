//! Checksum files of every kind, and what is refused in them.

use proptest::prelude::*;

use super::*;

const A: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const B: &str = "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7";
const MD5: &str = "5d41402abc4b2a76b9719d911017c592";

fn parse(text: &str) -> Result<Checksums, EvidenceError> {
    Checksums::parse("SHA256SUMS", text.as_bytes())
}

fn names(text: &str) -> Vec<String> {
    parse(text).unwrap().entries().iter().map(|entry| entry.path.clone()).collect()
}

#[test]
fn lines_of_every_tool() {
    let upper = A.to_uppercase();
    let sha512 = "ab".repeat(64);
    for (line, name) in [
        (format!("{A}  hello.txt"), "hello.txt"),
        (format!("{A} *hello.txt"), "hello.txt"),
        (format!("{A} hello.txt"), "hello.txt"),
        (format!("{A}\thello.txt"), "hello.txt"),
        (format!("{upper}  hello.txt"), "hello.txt"),
        (format!("{A}  ./dist/hello.txt"), "dist/hello.txt"),
        (format!("{A}  two words"), "two words"),
        (format!("{A}    leading"), "  leading"),
        (format!("{A}  a (b) = c"), "a (b) = c"),
        (format!("\\{A}  back\\\\slash"), "back\\slash"),
        (format!("SHA256 (hello.txt) = {A}"), "hello.txt"),
        (format!("SHA256 (a) = b) = {A}"), "a) = b"),
        (format!("SHA256 (a)= b) = {A}"), "a)= b"),
        (format!("SHA256(hello.txt)= {A}"), "hello.txt"),
        (format!("SHA2-256(hello.txt)= {A}"), "hello.txt"),
        (format!("SHA512 (hello.txt) = {sha512}"), "hello.txt"),
        (format!("{sha512}  hello.txt"), "hello.txt"),
    ] {
        assert_eq!(names(&line), [name], "{line}");
    }
}

#[test]
fn files_of_every_system() {
    let text = format!("\u{feff}# made by hand\r\n\r\n{A}  a\r\n{B} *b\r\n");
    assert_eq!(names(&text), ["a", "b"]);
    assert_eq!(names(&format!("{A}  a\n{B}  b")), ["a", "b"]);
}

#[test]
fn a_digest_alone_is_of_the_file_it_lies_beside() {
    for own in ["dist/tool.tar.gz.sha256", "tool.tar.gz.SHA256", "tool.tar.gz.sha256sum"] {
        let list = Checksums::parse(own, format!("{A}\n").as_bytes()).unwrap();
        assert_eq!(list.entries()[0].path, "tool.tar.gz", "{own}");
    }
    assert!(parse(A).is_err());
    assert!(Checksums::parse("x.sha256", format!("{A}\n{B}\n").as_bytes()).is_err());
    assert!(Checksums::parse(".sha256", A.as_bytes()).is_err());
}

#[test]
fn several_digests_of_a_file() {
    let sha512 = "ab".repeat(64);
    let list = parse(&format!("{sha512}  a\n{A}  a\n{A}  ./a\n{B}  b\n")).unwrap();
    assert_eq!(list.entries().len(), 2);
    let digests: Vec<_> = list.entries()[0].digests.iter().map(Digest::algorithm).collect();
    assert_eq!(digests, [Algorithm::Sha256, Algorithm::Sha512]);
    assert_eq!(list.algorithms(), [Algorithm::Sha256, Algorithm::Sha512]);
    assert_eq!(
        parse(&format!("{A}  a\n{B}  b\n{B}  ./a\n")),
        Err(EvidenceError::Line {
            line: 3,
            problem: "lists another digest for a name listed before"
        })
    );
}

#[test]
fn weak_digests_are_named_and_prove_nothing() {
    let list = parse(&format!("{MD5}  a\n{A}  a\nMD5 (b) = {MD5}\n")).unwrap();
    assert_eq!(list.weak().len(), 2);
    assert_eq!((list.weak()[0].algorithm.as_str(), list.weak()[0].path.as_str()), ("MD5", "a"));
    assert_eq!(list.entries()[0].digests[0].hex(), A);
    assert!(list.find("b").is_none());
    assert!(matches!(parse(&format!("{MD5}  a\n")), Err(EvidenceError::Unsupported { .. })));
    for other in ["B2SUMS", "tool.b3", "sums.blake3", "SHA3SUMS"] {
        let result = Checksums::parse(other, format!("{A}  a\n").as_bytes());
        assert!(matches!(result, Err(EvidenceError::Unsupported { .. })), "{other}");
    }
    for sha2 in ["SHA384SUMS", "tool_b2c3.txt", "web3.sha256"] {
        assert!(Checksums::parse(sha2, format!("{A}  a\n").as_bytes()).is_ok(), "{sha2}");
    }
}

#[test]
fn what_is_refused() {
    for text in [
        String::new(),
        "\n\n# nothing\n".into(),
        "hello".into(),
        A.into(),
        format!("{A}x  a"),
        format!("{A}  "),
        format!("{}  a", &A[1..]),
        format!("{A}-a"),
        format!("{A}  ../a"),
        format!("{A}  /a"),
        format!("{A}  C:\\a"),
        format!("{A}  a\u{1b}[0m"),
        format!("{A}  a\rb"),
        format!("\\{A}  a\\nb"),
        format!("\\{A}  a\\tb"),
        format!("\\{A}  a\\"),
        format!("\\{A}"),
        format!("SHA256 (../a) = {A}"),
        format!("SHA256 (a) = {MD5}"),
        "MD5 (a) = x".into(),
        format!("SHA256 (a) {A}"),
        format!("{A}  good\nand then a sentence"),
        format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{A}  a\n"),
    ] {
        assert!(parse(&text).is_err(), "{text:?}");
    }
    assert!(Checksums::parse("x", b"\xff").is_err());
    assert!(Checksums::parse("x", &vec![b'#'; Checksums::LIMIT_BYTES + 1]).is_err());
}

#[test]
fn a_name_is_found_by_its_path_or_by_its_last_part() {
    let list = parse(&format!("{A}  dist/a\n{B}  a\n{A}  dist/b\n{A}  x/c\n{B}  y/c\n")).unwrap();
    assert_eq!(list.find("dist/a").unwrap().path, "dist/a");
    assert_eq!(list.find("a").unwrap().path, "a");
    assert_eq!(list.find("b"), None);
    assert_eq!(list.find_file_name("b").unwrap().path, "dist/b");
    assert_eq!(list.find_file_name("c"), None, "two files have that name");
    assert_eq!(
        list.find_digest(&Digest::from_hex(Algorithm::Sha256, B).unwrap()).unwrap().path,
        "a"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(list) = Checksums::parse("f.sha256", &bytes) {
            for entry in list.entries() {
                prop_assert_eq!(listed_path(&entry.path), Ok(entry.path.clone()));
                prop_assert!(!entry.digests.is_empty());
            }
        }
    }

    #[test]
    fn what_gnu_writes_is_read(names in proptest::collection::vec("[a-z\\\\ (=)*]{1,12}", 1..8)) {
        let mut text = String::new();
        let mut expected = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let digest = Digest::of(Algorithm::Sha256, &[u8::try_from(index).unwrap()]);
            if expected.iter().any(|(known, _)| known == name) || name.starts_with('\\') || name.trim().is_empty() { continue; }
            let escape = if name.contains('\\') { "\\" } else { "" };
            let written = name.replace('\\', "\\\\");
            text.extend([escape, &digest.hex(), "  ", &written, "\n"]);
            expected.push((name.clone(), digest));
        }
        prop_assume!(!expected.is_empty());
        let list = parse(&text).unwrap();
        expected.sort();
        let read: Vec<_> = list.entries().iter().map(|entry| (entry.path.clone(), entry.digests[0].clone())).collect();
        prop_assert_eq!(read, expected);
    }
}
