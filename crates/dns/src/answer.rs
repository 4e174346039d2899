//! The decision about one query.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Query as Question, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, HINFO};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::query::{Unanswerable, decode};
use crate::reply::Reply;
use crate::reverse::{Reverse, apex, reverse};
use crate::special::{Special, special};
use crate::{Policy, TTL, Transport, Zone};

/// What to do about a query.
#[derive(Debug)]
pub enum Decision {
    /// Send these bytes to the asker.
    Reply(Vec<u8>),
    /// Ask an upstream, then send what [`Forward`] makes of the answer.
    Forward(Box<Forward>),
    /// Send nothing.
    Drop(Discard),
}

/// Why a packet gets no reply at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discard {
    /// The source is in no network that is served. Silence, so that nobody else can be hit by replies.
    ForeignSource,
    /// Less than a header.
    TooShort,
    /// It is a reply, not a query.
    NotAQuery,
}

impl Discard {
    /// A word for counters and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ForeignSource => "foreign-source",
            Self::TooShort => "too-short",
            Self::NotAQuery => "not-a-query",
        }
    }
}

/// A question for an upstream, and the way back to the asker.
#[derive(Debug)]
pub struct Forward {
    reply: Reply,
    name: Name,
    record_type: RecordType,
}

impl Forward {
    /// The name to ask for, fully qualified, in the asker's spelling.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The type to ask for; the class is IN.
    pub fn record_type(&self) -> RecordType {
        self.record_type
    }

    /// The reply with what an upstream said: its response code, answers (a chain of CNAMEs included)
    /// and authority records (the SOA of a negative answer). Any code but "no error" and "no such
    /// domain" becomes SERVFAIL, for it was about our question to the upstream.
    pub fn answer(
        &self,
        code: ResponseCode,
        answers: &[Record],
        authorities: &[Record],
    ) -> Vec<u8> {
        match code {
            ResponseCode::NoError | ResponseCode::NXDomain => {
                self.reply.encode(code, false, answers, authorities)
            }
            _ => self.fail(),
        }
    }

    /// The reply when no upstream answered: SERVFAIL.
    pub fn fail(&self) -> Vec<u8> {
        self.reply.encode(ResponseCode::ServFail, false, &[], &[])
    }
}

/// Decides about the bytes of one message: no socket, no clock, no memory of earlier ones.
pub fn answer(
    query: &[u8],
    source: IpAddr,
    transport: Transport,
    zone: &Zone,
    policy: &Policy,
) -> Decision {
    if !policy.serves(source) {
        return Decision::Drop(Discard::ForeignSource);
    }
    let query = match decode(query) {
        Ok(query) => query,
        Err(Unanswerable::Discard(discard)) => return Decision::Drop(discard),
        Err(Unanswerable::Error(head, code)) => {
            return Decision::Reply(Reply::error(head, transport, code));
        }
    };
    let version = query.edns.map_or(0, |edns| edns.version);
    let may_forward = policy.forward && query.head.recursion_desired;
    let reply = Reply::to(query, transport, policy.forward);
    let Some(question) = reply.question() else {
        return Decision::Reply(reply.encode(ResponseCode::FormErr, false, &[], &[]));
    };
    let verdict = match version {
        0 => judge(question, zone, policy),
        // RFC 6891 section 6.1.3.
        _ => Verdict::Refuse(ResponseCode::BADVERS),
    };
    let bytes = match verdict {
        Verdict::Records(records) => reply.encode(ResponseCode::NoError, true, &records, &[]),
        Verdict::NoData(soa) => reply.encode(ResponseCode::NoError, true, &[], &[soa]),
        Verdict::NoName(soa) => reply.encode(ResponseCode::NXDomain, true, &[], &[soa]),
        Verdict::Refuse(code) => reply.encode(code, false, &[], &[]),
        Verdict::NotOurs if may_forward => {
            let (name, record_type) = (question.name().clone(), question.query_type());
            return Decision::Forward(Box::new(Forward {
                reply,
                name,
                record_type,
            }));
        }
        Verdict::NotOurs => reply.encode(ResponseCode::Refused, false, &[], &[]),
    };
    Decision::Reply(bytes)
}

enum Verdict {
    /// These records.
    Records(Vec<Record>),
    /// The name has no records of this type; the SOA of its zone.
    NoData(Record),
    /// There is no such name; the SOA of its zone.
    NoName(Record),
    /// This error.
    Refuse(ResponseCode),
    /// A matter for an upstream.
    NotOurs,
}

fn judge(question: &Question, zone: &Zone, policy: &Policy) -> Verdict {
    let name = question.name();
    match question.query_type() {
        RecordType::OPT => return Verdict::Refuse(ResponseCode::FormErr),
        // Transfers, and what else is asked of a zone's servers only.
        RecordType::AXFR | RecordType::IXFR | RecordType::TSIG => {
            return Verdict::Refuse(ResponseCode::Refused);
        }
        _ => {}
    }
    if question.query_class() != DNSClass::IN {
        return Verdict::Refuse(ResponseCode::Refused);
    }
    if let Some(addresses) = zone.addresses(name) {
        return local(question, addresses, zone);
    }
    if zone.domain().zone_of(name) {
        return Verdict::NoName(zone.soa(zone.domain()));
    }
    match reverse(name, policy) {
        Reverse::Address(address, local) => {
            if let Some(target) = zone.name(address) {
                let owner = || apex(name, local.unwrap_or(4));
                return typed(question, RecordType::PTR, owner, zone, |_| {
                    vec![zone.pointer(name, target)]
                });
            }
            if let Some(labels) = local {
                return Verdict::NoName(zone.soa(&apex(name, labels)));
            }
        }
        Reverse::Above(labels) => return above(question, &apex(name, labels), zone),
        Reverse::Nothing(labels) => return Verdict::NoName(zone.soa(&apex(name, labels))),
        Reverse::Foreign => {}
    }
    match special(name) {
        Some(Special::Localhost) => return localhost(question, zone),
        Some(Special::Nonexistent(labels)) => {
            return Verdict::NoName(zone.soa(&name.trim_to(labels)));
        }
        Some(Special::Empty(labels)) => return Verdict::NoData(zone.soa(&name.trim_to(labels))),
        None => {}
    }
    if name.num_labels() == 1
        && matches!(
            question.query_type(),
            RecordType::A | RecordType::AAAA | RecordType::SSHFP | RecordType::ANY
        )
    {
        return bare(question, zone);
    }
    if question.query_type() == RecordType::ANY {
        return Verdict::Records(vec![any(name)]);
    }
    Verdict::NotOurs
}

/// A name that exists here.
fn local(question: &Question, addresses: &[Ipv4Addr], zone: &Zone) -> Verdict {
    let name = question.name();
    if name == zone.domain() {
        return above(question, zone.domain(), zone);
    }
    // A static name outside of the domain has no zone of ours around it: it is its own.
    let owner = if zone.domain().zone_of(name) {
        zone.domain()
    } else {
        name
    };
    host(question, name, addresses, || owner.clone(), zone)
}

/// A machine: its addresses, or its ssh host key; or a service.
fn host(
    question: &Question,
    known: &Name,
    addresses: &[Ipv4Addr],
    owner: impl FnOnce() -> Name,
    zone: &Zone,
) -> Verdict {
    if question.query_type() == RecordType::SSHFP {
        let keys = |name: &Name| zone.host_key_records(name, known);
        return typed(question, RecordType::SSHFP, owner, zone, keys);
    }
    if question.query_type() == RecordType::SRV {
        let services = |name: &Name| zone.service_records(name);
        return typed(question, RecordType::SRV, owner, zone, services);
    }
    let found = |name: &Name| zone.address_records(name, addresses);
    typed(question, RecordType::A, owner, zone, found)
}

/// The top of a zone, or a name between it and others.
fn above(question: &Question, owner: &Name, zone: &Zone) -> Verdict {
    let name = question.name();
    match question.query_type() {
        RecordType::SOA if name == owner => Verdict::Records(vec![zone.soa(owner)]),
        RecordType::NS if name == owner => Verdict::Records(vec![zone.name_server(owner)]),
        RecordType::ANY => Verdict::Records(vec![any(name)]),
        _ => Verdict::NoData(zone.soa(owner)),
    }
}

/// A name that has records of one type: those, or the word that it has no others.
fn typed(
    question: &Question,
    has: RecordType,
    owner: impl FnOnce() -> Name,
    zone: &Zone,
    records: impl FnOnce(&Name) -> Vec<Record>,
) -> Verdict {
    let asked = question.query_type();
    let records = match asked {
        RecordType::ANY => vec![any(question.name())],
        _ if asked == has => records(question.name()),
        _ => Vec::new(),
    };
    if records.is_empty() {
        Verdict::NoData(zone.soa(&owner()))
    } else {
        Verdict::Records(records)
    }
}

/// A name of one label: firmware leaves the domain away, and the root has no hosts to ask for.
fn bare(question: &Question, zone: &Zone) -> Verdict {
    let name = question.name();
    let whole = name.clone().append_domain(zone.domain()).ok();
    let found = whole
        .as_ref()
        .and_then(|whole| Some((whole, zone.addresses(whole)?)));
    match found {
        Some((whole, addresses)) => host(question, whole, addresses, || name.clone(), zone),
        None => Verdict::NoName(zone.soa(&Name::root())),
    }
}

fn localhost(question: &Question, zone: &Zone) -> Verdict {
    let name = question.name();
    let data = match question.query_type() {
        RecordType::A => RData::A(A(Ipv4Addr::LOCALHOST)),
        RecordType::AAAA => RData::AAAA(AAAA(Ipv6Addr::LOCALHOST)),
        RecordType::ANY => return Verdict::Records(vec![any(name)]),
        _ => return Verdict::NoData(zone.soa(&name.trim_to(1))),
    };
    Verdict::Records(vec![Record::from_rdata(name.clone(), TTL, data)])
}

/// The small answer to "everything you have" (RFC 8482 section 4.2).
fn any(name: &Name) -> Record {
    let hinfo = HINFO::from_bytes(b"RFC8482".as_slice().into(), Box::default());
    Record::from_rdata(name.clone(), TTL, RData::HINFO(hinfo))
}
