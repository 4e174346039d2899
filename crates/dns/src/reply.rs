//! Writing a reply: what it repeats from the query, and how long it may be.

use hickory_proto::op::{
    Edns as Opt, MessageType, Metadata, Query as Question, ResponseCode, emit_message_parts,
};
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::BinEncoder;

use crate::query::{Edns, Head, Query};
use crate::{MAX_UDP, Transport};

/// Everything that a reply needs besides its records.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    head: Head,
    question: Option<Question>,
    edns: Option<Edns>,
    transport: Transport,
    recursion_available: bool,
}

impl Reply {
    pub(crate) fn to(query: Query, transport: Transport, recursion_available: bool) -> Self {
        Self {
            head: query.head,
            question: Some(query.question),
            edns: query.edns,
            transport,
            recursion_available,
        }
    }

    /// An error for a message of which only the header could be read.
    pub(crate) fn error(head: Head, transport: Transport, code: ResponseCode) -> Vec<u8> {
        let reply = Self {
            head,
            question: None,
            edns: None,
            transport,
            recursion_available: false,
        };
        reply.encode(code, false, &[], &[])
    }

    pub(crate) fn question(&self) -> Option<&Question> {
        self.question.as_ref()
    }

    /// The bytes. A reply that is too long for the asker goes without records and with TC set, so that
    /// it asks again over TCP (RFC 2181 section 9).
    pub(crate) fn encode(
        &self,
        code: ResponseCode,
        authoritative: bool,
        answers: &[Record],
        authorities: &[Record],
    ) -> Vec<u8> {
        let whole = self.message(code, authoritative, false, answers, authorities);
        match whole {
            Some(bytes) if bytes.len() <= self.limit() => bytes,
            _ => {
                let cut = self.transport == Transport::Udp;
                let code = if cut { code } else { ResponseCode::ServFail };
                self.message(code, authoritative && cut, cut, &[], &[])
                    .unwrap_or_default()
            }
        }
    }

    fn limit(&self) -> usize {
        match (self.transport, self.edns) {
            (Transport::Tcp, _) => usize::from(u16::MAX),
            (Transport::Udp, None) => 512,
            (Transport::Udp, Some(edns)) => usize::from(edns.udp_size.min(MAX_UDP)),
        }
    }

    fn message(
        &self,
        code: ResponseCode,
        authoritative: bool,
        truncated: bool,
        answers: &[Record],
        authorities: &[Record],
    ) -> Option<Vec<u8>> {
        let mut metadata = Metadata::new(self.head.id, MessageType::Response, self.head.op_code);
        metadata.response_code = code;
        metadata.authoritative = authoritative;
        metadata.truncation = truncated;
        metadata.recursion_desired = self.head.recursion_desired;
        metadata.recursion_available = self.recursion_available;
        metadata.checking_disabled = self.head.checking_disabled;
        // RFC 6891 section 7: OPT if and only if the query had one. Version 0, unknown flags cleared.
        let opt = self.edns.map(|edns| {
            let mut opt = Opt::new();
            opt.set_max_payload(MAX_UDP);
            opt.set_dnssec_ok(edns.dnssec_ok);
            opt
        });
        let mut bytes = Vec::with_capacity(512);
        emit_message_parts(
            &metadata,
            &mut self.question.iter(),
            &mut answers.iter(),
            &mut authorities.iter(),
            &mut std::iter::empty::<&Record>(),
            opt.as_ref(),
            None,
            &mut BinEncoder::new(&mut bytes),
        )
        .ok()?;
        Some(bytes)
    }
}
