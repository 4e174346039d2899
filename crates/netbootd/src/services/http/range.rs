//! Byte ranges (RFC 9110 section 14).

/// The part of a file to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// From `start`, `len` bytes, `len` > 0.
    Range {
        /// First byte.
        start: u64,
        /// Number of bytes.
        len: u64,
    },
    /// No byte of the file is in the range: 416.
    Unsatisfiable,
}

/// What a `Range` header asks of a file of `size` bytes whose entity tag is `etag`.
///
/// A range under an `If-Range` that is not our tag, several ranges, and units other than bytes get
/// the whole file, as the RFC allows.
pub fn part(range: Option<&str>, if_range: Option<&str>, etag: &str, size: u64) -> Part {
    let Some(range) = range.and_then(|range| range.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    if if_range.is_some_and(|tag| tag != etag) {
        return Part::Whole;
    }
    let Some((first, last)) = range.trim().split_once('-') else {
        return Part::Whole;
    };
    let number = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    match (first.trim(), last.trim()) {
        ("", last) => match number(last) {
            Some(0) => Part::Unsatisfiable,
            Some(_) if size == 0 => Part::Unsatisfiable,
            Some(suffix) => {
                let len = suffix.min(size);
                Part::Range {
                    start: size - len,
                    len,
                }
            }
            None => Part::Whole,
        },
        (first, last) => match (number(first), last.is_empty(), number(last)) {
            (Some(start), _, _) if start >= size => Part::Unsatisfiable,
            (Some(start), true, _) => Part::Range {
                start,
                len: size - start,
            },
            (Some(start), false, Some(end)) if end >= start => Part::Range {
                start,
                len: end.min(size - 1) - start + 1,
            },
            _ => Part::Whole,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: &str) -> Part {
        part(Some(range), None, "\"a\"", 100)
    }

    #[test]
    fn the_three_forms_of_a_range() {
        assert_eq!(of("bytes=0-0"), Part::Range { start: 0, len: 1 });
        assert_eq!(of("bytes=90-"), Part::Range { start: 90, len: 10 });
        assert_eq!(of("bytes=90-500"), Part::Range { start: 90, len: 10 });
        assert_eq!(of("bytes=-7"), Part::Range { start: 93, len: 7 });
        assert_eq!(of("bytes=-700"), Part::Range { start: 0, len: 100 });
    }

    #[test]
    fn beyond_the_end_is_unsatisfiable_and_nonsense_is_ignored() {
        for range in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(of(range), Part::Unsatisfiable, "{range}");
        }
        for range in [
            "bytes=5-4",
            "bytes=a-b",
            "lines=1-2",
            "bytes=1",
            "bytes=0-1,3-4",
            "bytes=+1-2",
        ] {
            assert_eq!(of(range), Part::Whole, "{range}");
        }
    }

    #[test]
    fn a_changed_file_is_sent_whole() {
        assert_eq!(
            part(Some("bytes=5-"), Some("\"b\""), "\"a\"", 100),
            Part::Whole
        );
        assert_eq!(
            part(Some("bytes=95-"), Some("\"a\""), "\"a\"", 100),
            Part::Range { start: 95, len: 5 }
        );
        assert_eq!(part(None, None, "\"a\"", 100), Part::Whole);
    }
}
