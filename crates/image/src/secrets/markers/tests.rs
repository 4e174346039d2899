use super::*;

const BODY: &str = "MC4CAQAwBQYDK2VwBCIEIC5pIGFtIG5vdCBhIHJlYWwga2V5IGF0IGFsbCAhIQ==";

fn found(text: &str) -> Option<&'static str> {
    find(text.as_bytes(), true)
}

#[test]
fn a_private_key_is_known_by_its_first_lines_however_it_is_written() {
    for (begin, what) in [
        ("-----BEGIN PRIVATE KEY-----\n", "PEM"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: AES-128-CBC,00\r\n\r\n",
            "PEM",
        ),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "with a password"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "OpenSSH"),
        (
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\nComment: x\n\n",
            "PGP",
        ),
        (r"-----BEGIN PRIVATE KEY-----\n", "PEM"),
        ("\"-----BEGIN PRIVATE KEY-----\\n\"\n    \"", "PEM"),
        (
            "  tls.key: |\n    -----BEGIN EC PRIVATE KEY-----\n    ",
            "PEM",
        ),
    ] {
        let text = format!("something before\n{begin}{BODY}\n");
        assert!(
            found(&text).is_some_and(|found| found.contains(what)),
            "{text}"
        );
        assert!(
            find(text.as_bytes(), false).is_some(),
            "in a binary file: {text}"
        );
    }
}

#[test]
fn what_only_talks_of_keys_is_not_one() {
    for text in [
        "-----BEGIN PRIVATE KEY-----\0-----END PRIVATE KEY-----\0",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
        "look for -----BEGIN RSA PRIVATE KEY----- in your files, and do not publish any of them",
        "-----BEGIN PUBLIC KEY-----\nMC4CAQAwBQYDK2VwBCIEIC5pIGFtIG5vdCBhIHJlYWwga2V5",
        "my PRIVATE KEY MC4CAQAwBQYDK2VwBCIEIC5pIGFtIG5vdCBhIHJlYWwga2V5IGF0IGFsbCAhIQ",
        "aws_secret_access_key = YOUR_KEY_HERE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "npm_config_something_that_is_only_a_long_name_1",
        "$1$ or $5$ or $6$, see crypt(5)",
    ] {
        assert_eq!(found(text), None, "{text}");
    }
}

#[test]
fn tokens_and_hashes_are_named() {
    for (text, what) in [
        (
            "aws_secret_access_key = aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5z/+A\n",
            "AWS",
        ),
        ("token: ghp_aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5", "GitHub"),
        ("glpat-aB3dE5fG7hI9jK1lM3nO", "GitLab"),
        ("xoxb-123456789012-aB3dE5fG7hI9jK1l", "Slack"),
        (
            "AGE-SECRET-KEY-1QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQQPZRY9X8GF2TVDW0S3JN5",
            "age",
        ),
        (
            "PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 14\n",
            "PuTTY",
        ),
        ("me:$apr1$abcdefgh$0123456789abcdefghijkl\n", "MD5"),
    ] {
        assert!(
            found(text).is_some_and(|found| found.contains(what)),
            "{text}"
        );
    }
}

#[test]
fn a_binary_key_is_as_long_as_it_says() {
    let mut key = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5];
    key.resize(0x30, 7);
    assert!(binary_key(&key, 0x30).is_some());
    assert!(binary_key(&key, 0x31).is_none());
    let certificate = [0x30, 0x82, 3, 0, 0x30, 0x82, 2];
    assert!(binary_key(&certificate, 0x304).is_none());
}
