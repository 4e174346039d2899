//! Every diagnostic with its exact text, read from `cases/*.txt`: a line `### promise`, the file, a
//! line `---`, and what is said about it.

use super::said;
use crate::Code;

const CASES: [(&str, &str); 4] = [
    ("file.txt", include_str!("cases/file.txt")),
    ("network.txt", include_str!("cases/network.txt")),
    ("clients.txt", include_str!("cases/clients.txt")),
    ("values.txt", include_str!("cases/values.txt")),
];

#[test]
fn every_case_says_exactly_this() {
    for (name, cases) in CASES {
        let mut now = String::new();
        for case in cases.split("### ").skip(1) {
            let (promise, rest) = case.split_once('\n').expect("a case has a promise");
            let (text, _) = rest
                .split_once("\n---\n")
                .expect("a case has a file and an answer");
            now += &format!("### {promise}\n{text}\n---\n{}\n\n", said(text));
        }
        // `BLESS=1 cargo test -p config` writes down what is said now, to be read before a commit.
        if std::env::var_os("BLESS").is_some() {
            let path = format!("{}/src/tests/cases/{name}", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(path, now.trim_end().to_owned() + "\n").expect("the folder is writable");
        } else {
            assert_eq!(now.trim_end(), cases.trim_end(), "{name}");
        }
    }
}

#[test]
fn every_code_of_a_file_has_a_case() {
    for (code, meaning) in Code::ALL {
        let shown = CASES
            .iter()
            .any(|(_, cases)| cases.contains(&format!("[{code}]")));
        let of_a_file = (*code as u16) < 100 && *code != Code::Unreadable;
        assert!(shown || !of_a_file, "{code}{meaning}");
    }
}

#[test]
fn five_mistakes_are_five_diagnostics() {
    let text = "\
[interfaces.enp1s0]
mode = \"prox\"
adress = \"192.168.67.1\"
pool = [\"192.168.67.250-192.168.67.20\"]
lease_time = 12
[users.root]
";
    let answer = said(text);
    let codes: Vec<&str> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("error["))
        .map(|line| &line[..4])
        .collect();
    assert_eq!(codes, ["C005", "C003", "C007", "C004", "C019"], "{answer}");
    assert!(
        answer.ends_with("5 errors in the configuration"),
        "{answer}"
    );
}

#[test]
fn no_text_makes_it_panic() {
    // Every prefix, and every file with one character changed, of a file that uses most keys.
    let text = crate::default_file()
        .replace("\n#", "\n")
        .replace("\n ", "\n# ");
    for (cut, _) in text.char_indices().step_by(41) {
        said(&text[..cut]);
        for odd in ["\"", "=", "ä", "[", "\0", "9"] {
            said(&format!("{}{odd}{}", &text[..cut], &text[cut..]));
        }
    }
}
