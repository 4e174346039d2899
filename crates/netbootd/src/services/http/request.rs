//! Request heads, read strictly: what two parsers could read in two ways is refused.

/// Longest request head, in bytes. Firmware and iPXE send a few hundred.
pub const MAX_HEAD: usize = 8192;
const MAX_HEADERS: usize = 48;

/// What a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The file.
    Get,
    /// The file's headers.
    Head,
    /// A report.
    Post,
}

impl Method {
    /// The method's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
        }
    }
}

/// A request head, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path: percent-decoded, doubled slashes collapsed (shim asks for `//grubx64.efi`, and
    /// firmware fails on a redirect), without `.` and `..` components, no leading slash.
    pub path: String,
    /// What follows the question mark, as it was sent.
    pub query: String,
    /// Whether the connection stays open after the answer.
    pub keep_alive: bool,
    /// `Range`, as it was sent.
    pub range: Option<String>,
    /// `If-Range`, as it was sent.
    pub if_range: Option<String>,
    /// `Content-Length`; 0 if absent.
    pub body_len: u64,
}

/// Why a request is answered with an error and the connection closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// 400.
    BadRequest,
    /// 405.
    Method,
    /// 431.
    TooLong,
    /// 501: a transfer coding in a request.
    Coding,
}

/// The outcome of looking at the bytes received so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// More bytes are needed.
    Partial,
    /// A whole head, and its length in bytes.
    Whole(Request, usize),
}

impl Request {
    /// Decodes the head at the start of `bytes` (RFC 9112).
    pub fn decode(bytes: &[u8]) -> Result<Parsed, Refused> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let length = match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() >= MAX_HEAD => {
                return Err(Refused::TooLong);
            }
            Ok(httparse::Status::Partial) => return Ok(Parsed::Partial),
            Err(httparse::Error::TooManyHeaders) => return Err(Refused::TooLong),
            Err(_) => return Err(Refused::BadRequest),
        };
        if length > MAX_HEAD {
            return Err(Refused::TooLong);
        }
        // A bare line feed ends a line for some parsers and not for others: request smuggling.
        let bare = |(index, byte): (usize, &u8)| {
            *byte == b'\n' && (index == 0 || bytes[index - 1] != b'\r')
        };
        if bytes[..length].iter().enumerate().any(bare) {
            return Err(Refused::BadRequest);
        }
        let method = match head.method.unwrap_or_default() {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            _ => return Err(Refused::Method),
        };
        let mut request = Self {
            method,
            path: String::new(),
            query: String::new(),
            keep_alive: head.version == Some(1),
            range: None,
            if_range: None,
            body_len: 0,
        };
        let target = head.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        request.path = clean_path(path).ok_or(Refused::BadRequest)?;
        query.clone_into(&mut request.query);
        let mut seen_length = false;
        for header in &*head.headers {
            let value = std::str::from_utf8(header.value).map(str::trim);
            let value = value.map_err(|_| Refused::BadRequest)?;
            if header.name.eq_ignore_ascii_case("content-length") {
                if seen_length || value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(Refused::BadRequest);
                }
                seen_length = true;
                request.body_len = value.parse().map_err(|_| Refused::BadRequest)?;
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(Refused::Coding);
            } else if header.name.eq_ignore_ascii_case("connection") {
                for word in value.split(',').map(str::trim) {
                    if word.eq_ignore_ascii_case("close") {
                        request.keep_alive = false;
                    } else if word.eq_ignore_ascii_case("keep-alive") {
                        request.keep_alive = true;
                    }
                }
            } else if header.name.eq_ignore_ascii_case("range") {
                request.range = Some(value.to_owned());
            } else if header.name.eq_ignore_ascii_case("if-range") {
                request.if_range = Some(value.to_owned());
            }
        }
        Ok(Parsed::Whole(request, length))
    }

    /// The value of `key` in the query, percent-decoded.
    pub fn query_value(&self, key: &str) -> Option<String> {
        self.query.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            (name == key).then(|| percent_decode(value))?
        })
    }
}

/// The path in the form described at [`Request::path`]; `None` if it tries to climb.
fn clean_path(path: &str) -> Option<String> {
    // An absolute URI as target (RFC 9112 section 3.2.2) names us before its path.
    let path = match path.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => path,
    };
    let decoded = percent_decode(path)?;
    if decoded.contains(|c: char| c.is_control()) {
        return None;
    }
    let mut clean = String::with_capacity(decoded.len());
    for component in decoded.split('/') {
        match component {
            "" | "." => {}
            ".." => return None,
            _ => {
                if !clean.is_empty() {
                    clean.push('/');
                }
                clean.push_str(component);
            }
        }
    }
    Some(clean)
}

fn percent_decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        if byte == b'%' {
            let hex = std::str::from_utf8(bytes.get(index + 1..index + 3)?).ok()?;
            decoded.push(u8::from_str_radix(hex, 16).ok()?);
            index += 3;
        } else {
            decoded.push(byte);
            index += 1;
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<Parsed, Refused> {
        Request::decode(text.as_bytes())
    }

    fn whole(text: &str) -> Request {
        match decode(text) {
            Ok(Parsed::Whole(request, _)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_of_ipxe_is_read() {
        let request = whole(
            "GET /boot/52-54-00-00-00-01.ipxe?failed=7 HTTP/1.1\r\nConnection: keep-alive\r\nUser-Agent: iPXE/1.0\r\n\
             Host: 192.168.67.1\r\n\r\n",
        );
        assert_eq!(request.path, "boot/52-54-00-00-00-01.ipxe");
        assert_eq!(request.query_value("failed").as_deref(), Some("7"));
        assert!(request.keep_alive);
    }

    #[test]
    fn doubled_slashes_collapse_and_climbing_is_refused() {
        assert_eq!(whole("GET //loader//x HTTP/1.1\r\n\r\n").path, "loader/x");
        assert_eq!(
            whole("GET http://a.b/loader/x HTTP/1.1\r\n\r\n").path,
            "loader/x"
        );
        for path in ["/../x", "/a/..", "/%2e%2e/x", "/a%00b", "/%zz", "/%f"] {
            assert_eq!(
                decode(&format!("GET {path} HTTP/1.1\r\n\r\n")),
                Err(Refused::BadRequest),
                "{path}"
            );
        }
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        let refused = [
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "GET / HTTP/1.1\nHost: x\n\n",
            "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
            "GET /\0 HTTP/1.1\r\n\r\n",
        ];
        for text in refused {
            assert_eq!(decode(text), Err(Refused::BadRequest), "{text:?}");
        }
        let coded = "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(decode(coded), Err(Refused::Coding));
    }

    #[test]
    fn other_methods_and_endless_heads_are_refused() {
        for method in ["PUT", "DELETE", "TRACE", "CONNECT", &"X".repeat(5000)] {
            assert_eq!(
                decode(&format!("{method} / HTTP/1.1\r\n\r\n")),
                Err(Refused::Method)
            );
        }
        assert_eq!(
            decode(&format!("GET /{} HTTP/1.1", "a".repeat(9000))),
            Err(Refused::TooLong)
        );
        assert_eq!(
            decode(&format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(100))),
            Err(Refused::TooLong)
        );
        assert_eq!(decode("GET / HT"), Ok(Parsed::Partial));
    }

    #[test]
    fn http_1_0_closes_unless_asked() {
        assert!(!whole("GET / HTTP/1.0\r\n\r\n").keep_alive);
        assert!(whole("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
        assert!(!whole("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").keep_alive);
    }
}
