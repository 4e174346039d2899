//! ISC's dhcpd.leases(5): a journal of `lease ADDRESS { … }`, the last one of an address counts.

use std::net::Ipv4Addr;

use super::{ForeignLease, Parsed, from_colons};

/// What the file is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// In quotes, its escapes resolved.
    Text(Vec<u8>),
    Open,
    Close,
    End,
}

/// A token and the number of its line.
type Numbered = (usize, Token);

pub(super) fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let tokens = tokens(text);
    let mut rest = tokens.as_slice();
    while let [(line, token), after @ ..] = rest {
        let address = match (token, after) {
            (Token::Word(word), [(_, Token::Word(address)), (_, Token::Open), ..])
                if word == "lease" =>
            {
                address
            }
            // Some other declaration, or the rest of one: to its end, with what is inside.
            (Token::Open, _) => {
                rest = block(after).1;
                continue;
            }
            _ => {
                rest = after;
                continue;
            }
        };
        let (inside, behind) = block(&after[2..]);
        rest = behind;
        let Ok(address) = address.parse::<Ipv4Addr>() else {
            let why = format!("{address} is no IPv4 address");
            parsed.unreadable.push((*line, why));
            continue;
        };
        match inside
            .ok_or("it has no end")
            .and_then(|inside| lease(address, inside))
        {
            Ok(lease) => {
                parsed.leases.insert(address, lease);
            }
            Err(why) => parsed.unreadable.push((*line, format!("{address}: {why}"))),
        }
    }
    parsed
}

/// What is inside a block that has been opened, if it is closed, and what comes after it.
fn block(tokens: &[Numbered]) -> (Option<&[Numbered]>, &[Numbered]) {
    let mut depth = 1_usize;
    for (at, (_, token)) in tokens.iter().enumerate() {
        match token {
            Token::Open => depth += 1,
            Token::Close => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (Some(&tokens[..at]), &tokens[at + 1..]);
        }
    }
    (None, &[])
}

/// The lease, or nothing where it is over.
fn lease(address: Ipv4Addr, tokens: &[Numbered]) -> Result<Option<ForeignLease>, &'static str> {
    let (mut mac, mut expires, mut is_active) = (None, None, true);
    let (mut client_id, mut hostname) = (None, None);
    for statement in outer(tokens).split(|token| **token == Token::End) {
        let words: Vec<&str> = statement
            .iter()
            .map_while(|token| match token {
                Token::Word(word) => Some(word.as_str()),
                _ => None,
            })
            .collect();
        let text = match statement.last() {
            Some(Token::Text(text)) => Some(text.clone()),
            _ => None,
        };
        match words.as_slice() {
            ["hardware", "ethernet", address] => {
                mac = Some(address.parse().map_err(|_| "no MAC address")?);
            }
            ["ends", time @ ..] => expires = Some(moment(time).ok_or("no time of its end")?),
            ["binding", "state", state] => is_active = *state == "active",
            ["uid", id] => client_id = from_colons(id),
            ["uid"] => client_id = text,
            ["client-hostname"] => {
                hostname = text.map(|text| String::from_utf8_lossy(&text).into_owned());
            }
            ["client-hostname", name] => hostname = Some((*name).to_owned()),
            _ => {}
        }
    }
    if !is_active {
        return Ok(None);
    }
    Ok(Some(ForeignLease {
        address,
        mac: mac.ok_or("no hardware address of Ethernet")?,
        client_id,
        hostname,
        expires: expires.ok_or("no time of its end")?,
    }))
}

/// The tokens outside inner blocks: `on expiry { … }` and the like say nothing of the lease.
fn outer(tokens: &[Numbered]) -> Vec<&Token> {
    let (mut outer, mut depth) = (Vec::new(), 0_usize);
    for (_, token) in tokens {
        match token {
            Token::Open => depth += 1,
            Token::Close => {
                depth = depth.saturating_sub(1);
                outer.push(&Token::End);
            }
            token if depth == 0 => outer.push(token),
            _ => {}
        }
    }
    outer
}

/// `4 2026/11/19 10:00:00`, `epoch 1795442512` or `never`, in seconds of Unix time.
fn moment(words: &[&str]) -> Option<u64> {
    match words {
        ["never"] => Some(u64::MAX),
        ["epoch", seconds] => seconds.parse().ok(),
        [_, date, time] => {
            let [year, month, day] = numbers(date, '/')?;
            let [hours, minutes, seconds] = numbers(time, ':')?;
            let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month);
            if !is_date || !(1..=31).contains(&day) || hours > 24 || minutes > 60 || seconds > 60 {
                return None;
            }
            // Days from civil: years begin in March, so that the leap day is their last.
            let year = if month <= 2 { year - 1 } else { year };
            let month = (month + 9) % 12;
            let day_of_year = (153 * month + 2) / 5 + day - 1;
            let leaps = year / 4 - year / 100 + year / 400;
            let days = (365 * year + leaps + day_of_year).checked_sub(719_468)?;
            Some(days * 86_400 + hours * 3600 + minutes * 60 + seconds)
        }
        _ => None,
    }
}

fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let numbers: Option<Vec<u64>> = text.split(between).map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// The tokens, each with the number of its line.
fn tokens(text: &str) -> Vec<Numbered> {
    let mut tokens = Vec::new();
    let (mut line, mut chars) = (1, text.chars().peekable());
    while let Some(char) = chars.next() {
        let token = match char {
            '\n' => {
                line += 1;
                continue;
            }
            '#' => {
                while chars.next_if(|char| *char != '\n').is_some() {}
                continue;
            }
            '{' => Token::Open,
            '}' => Token::Close,
            ';' => Token::End,
            '"' => {
                let begun = line;
                let text = quoted(&mut chars, &mut line);
                tokens.push((begun, Token::Text(text)));
                continue;
            }
            char if char.is_whitespace() => continue,
            char => {
                let mut word = String::from(char);
                let ends = |char: &char| char.is_whitespace() || "{};\"#".contains(*char);
                while let Some(char) = chars.next_if(|char| !ends(char)) {
                    word.push(char);
                }
                Token::Word(word)
            }
        };
        tokens.push((line, token));
    }
    tokens
}

/// The rest of a text in quotes, `\ooo` as the byte of that octal number.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, line: &mut usize) -> Vec<u8> {
    let mut text = Vec::new();
    let push = |text: &mut Vec<u8>, char: char| {
        text.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
    };
    while let Some(char) = chars.next() {
        match char {
            '"' => break,
            '\\' => {
                let mut number = None;
                for _ in 0..3 {
                    let Some(digit) = chars.next_if(|char| char.is_digit(8)) else {
                        break;
                    };
                    number = Some(number.unwrap_or(0) * 8 + digit.to_digit(8).unwrap_or(0));
                }
                match number {
                    Some(number) => text.push((number & 0xff) as u8),
                    None => {
                        if let Some(char) = chars.next() {
                            push(&mut text, char);
                        }
                    }
                }
            }
            char => {
                *line += usize::from(char == '\n');
                push(&mut text, char);
            }
        }
    }
    text
}
