//! System calls without a safe wrapper.
#![allow(
    unsafe_code,
    reason = "the one file of the daemon with system calls that have no safe wrapper"
)]

use std::ffi::CStr;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use model::MacAddr;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::many::MOST;

/// One address of one interface, as the kernel lists them.
pub(crate) enum Listed {
    /// The interface itself: index and hardware address.
    Link {
        name: String,
        index: u32,
        mac: MacAddr,
        up: bool,
    },
    /// An IPv4 address and the length of its prefix.
    V4 {
        name: String,
        address: Ipv4Addr,
        prefix_len: u8,
    },
    /// An IPv6 address.
    V6 { name: String, address: Ipv6Addr },
}

/// getifaddrs(3), copied out.
pub(crate) fn list_interfaces() -> io::Result<Vec<Listed>> {
    let mut head = std::ptr::null_mut();
    // SAFETY: getifaddrs writes a list head to the pointer it is given, or fails.
    if unsafe { libc::getifaddrs(&mut head) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut listed = Vec::new();
    let mut next = head;
    while !next.is_null() {
        // SAFETY: `next` is a node of the list that getifaddrs made and that is freed only below.
        let node = unsafe { &*next };
        next = node.ifa_next;
        if node.ifa_addr.is_null() || node.ifa_name.is_null() {
            continue;
        }
        // SAFETY: ifa_name is a terminated string owned by the list.
        let name = unsafe { CStr::from_ptr(node.ifa_name) }
            .to_string_lossy()
            .into_owned();
        // SAFETY: ifa_addr points to a sockaddr of at least the family's size; the family says which.
        match i32::from(unsafe { (*node.ifa_addr).sa_family }) {
            libc::AF_PACKET => {
                // SAFETY: the family is AF_PACKET, so the address is a sockaddr_ll.
                let link = unsafe { &*node.ifa_addr.cast::<libc::sockaddr_ll>() };
                let mut mac = [0; 6];
                mac.copy_from_slice(&link.sll_addr[..6]);
                listed.push(Listed::Link {
                    name,
                    index: link.sll_ifindex as u32,
                    mac: MacAddr(mac),
                    up: node.ifa_flags & libc::IFF_UP as u32 != 0,
                });
            }
            libc::AF_INET => {
                // SAFETY: the family is AF_INET, so the address is a sockaddr_in.
                let address = unsafe { &*node.ifa_addr.cast::<libc::sockaddr_in>() };
                let mask = if node.ifa_netmask.is_null() {
                    u32::MAX
                } else {
                    // SAFETY: the netmask of an AF_INET address is a sockaddr_in.
                    let mask = unsafe { &*node.ifa_netmask.cast::<libc::sockaddr_in>() };
                    u32::from_be(mask.sin_addr.s_addr)
                };
                listed.push(Listed::V4 {
                    name,
                    address: Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)),
                    prefix_len: mask.leading_ones() as u8,
                });
            }
            libc::AF_INET6 => {
                // SAFETY: the family is AF_INET6, so the address is a sockaddr_in6.
                let address = unsafe { &*node.ifa_addr.cast::<libc::sockaddr_in6>() };
                listed.push(Listed::V6 {
                    name,
                    address: Ipv6Addr::from(address.sin6_addr.s6_addr),
                });
            }
            _ => {}
        }
    }
    // SAFETY: `head` came from getifaddrs and is freed once; nothing borrowed from it is left.
    unsafe { libc::freeifaddrs(head) };
    Ok(listed)
}

/// A socket for ARP on one interface, non-blocking: whole Ethernet frames, 42 bytes of which count (packet(7)). Needs
/// `CAP_NET_RAW`.
///
/// It comes as a `UdpSocket` for that type's safe `send` and `recv`.
pub fn arp_socket(index: u32) -> io::Result<UdpSocket> {
    packet_socket(index, libc::ETH_P_ARP as u16)
}

/// A socket that sends whole Ethernet frames out of one interface, non-blocking, and hears nothing. Needs `CAP_NET_RAW`.
///
/// It comes as a `UdpSocket` for that type's safe `send`.
pub fn frame_socket(index: u32) -> io::Result<UdpSocket> {
    packet_socket(index, 0)
}

/// A socket for frames of one type (packet(7)), of none for 0.
fn packet_socket(index: u32, frames: u16) -> io::Result<UdpSocket> {
    let frames = frames.to_be();
    let socket = Socket::new(
        Domain::PACKET,
        Type::RAW,
        Some(Protocol::from(i32::from(frames))),
    )?;
    socket.set_nonblocking(true)?;
    // SAFETY: a sockaddr_ll fits a sockaddr_storage, and all of it is written before its length is.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            storage
                .cast::<libc::sockaddr_ll>()
                .write(libc::sockaddr_ll {
                    sll_family: libc::AF_PACKET as u16,
                    sll_protocol: frames,
                    sll_ifindex: index as i32,
                    sll_hatype: 0,
                    sll_pkttype: 0,
                    sll_halen: 0,
                    sll_addr: [0; 8],
                });
            *length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })?
    };
    socket.bind(&address)?;
    Ok(socket.into())
}

/// Gives memory that was freed back to the system. glibc keeps what reading ten thousand leases took for
/// a while, twice what they take afterwards.
pub fn return_freed_memory() {
    // SAFETY: the call takes no pointer, and may be made at any time by any thread (malloc_trim(3)).
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Makes the kernel cut what is sent on `socket` into datagrams of `size` bytes (UDP segmentation
/// offload, udp(7) `UDP_SEGMENT`). One system call then carries a whole TFTP window. 0: not any more.
pub(crate) fn set_segment_size(socket: &UdpSocket, size: u16) -> io::Result<()> {
    let size = libc::c_int::from(size);
    // SAFETY: the option takes an int, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            std::ptr::from_ref(&size).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// recvmmsg(2): waits for the first datagram as the socket does. Each datagram gets `size` bytes of
/// `space`; `found` has the length and the source of each.
pub(crate) fn receive_many(
    socket: &UdpSocket,
    space: &mut [u8],
    size: usize,
    found: &mut Vec<(usize, SocketAddrV4)>,
) -> io::Result<()> {
    found.clear();
    let (mut names, mut parts, mut headers) = blank();
    let mut count = 0;
    for (number, space) in space.chunks_exact_mut(size).take(MOST).enumerate() {
        parts[number].iov_base = space.as_mut_ptr().cast();
        parts[number].iov_len = space.len();
        address(&mut headers[number], &mut names[number], &mut parts[number]);
        count += 1;
    }
    // SAFETY: the first `count` headers point to a name and a part each, which point to a piece of
    // `space` that nothing else points to; all outlive the call.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            libc::MSG_WAITFORONE,
            std::ptr::null_mut(),
        )
    };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    for (header, name) in headers.iter().zip(&names).take(received) {
        let from = SocketAddrV4::new(
            Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr)),
            u16::from_be(name.sin_port),
        );
        found.push(((header.msg_len as usize).min(size), from));
    }
    Ok(())
}

/// sendmmsg(2): how many of the datagrams were sent, from the first on; an error is about the first.
pub(crate) fn send_many(
    socket: &UdpSocket,
    datagrams: &[(Vec<u8>, SocketAddrV4)],
) -> io::Result<usize> {
    let (mut names, mut parts, mut headers) = blank();
    let mut count = 0;
    for (number, (bytes, to)) in datagrams.iter().take(MOST).enumerate() {
        names[number].sin_family = libc::AF_INET as libc::sa_family_t;
        names[number].sin_addr.s_addr = u32::from(*to.ip()).to_be();
        names[number].sin_port = to.port().to_be();
        parts[number].iov_base = bytes.as_ptr().cast_mut().cast();
        parts[number].iov_len = bytes.len();
        address(&mut headers[number], &mut names[number], &mut parts[number]);
        count += 1;
    }
    // SAFETY: the first `count` headers point to a name and a part each, which points to bytes that the
    // kernel only reads; all outlive the call.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

type Blank = (
    [libc::sockaddr_in; MOST],
    [libc::iovec; MOST],
    [libc::mmsghdr; MOST],
);

fn blank() -> Blank {
    // SAFETY: these are structures of numbers and pointers, of which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// Makes a header for one datagram.
fn address(header: &mut libc::mmsghdr, name: &mut libc::sockaddr_in, part: &mut libc::iovec) {
    header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
    header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    header.msg_hdr.msg_iov = part;
    header.msg_hdr.msg_iovlen = 1;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Segments;

    /// What comes out at the other end when 2 500 bytes are sent as datagrams of 1000.
    fn received(prepare: impl FnOnce(&UdpSocket)) -> Vec<Vec<u8>> {
        let [from, to] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        to.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        from.connect(to.local_addr().unwrap()).unwrap();
        prepare(&from);
        let bytes: Vec<u8> = (0..2500_u32).map(|number| number as u8).collect();
        Segments::new(from, 1000).send(&bytes).unwrap();
        let receive = |_| {
            let mut buffer = [0; 4096];
            let length = to.recv(&mut buffer).unwrap();
            buffer[..length].to_vec()
        };
        let datagrams: Vec<_> = (0..3).map(receive).collect();
        assert_eq!(datagrams.concat(), bytes);
        datagrams
    }

    #[test]
    fn one_call_sends_many_datagrams_and_many_calls_where_the_kernel_refuses() {
        let offloaded = received(|_| {});
        let refused = received(|socket| {
            let (yes, size) = (1 as libc::c_int, size_of::<libc::c_int>());
            let (level, option) = (libc::SOL_SOCKET, libc::SO_NO_CHECK);
            let value = std::ptr::from_ref(&yes).cast();
            // SAFETY: the option takes an int, which outlives the call. Without checksums the kernel
            // refuses to cut (EINVAL).
            let set = unsafe {
                libc::setsockopt(
                    socket.as_raw_fd(),
                    level,
                    option,
                    value,
                    size as libc::socklen_t,
                )
            };
            assert_eq!(set, 0);
        });
        assert_eq!(offloaded, refused);
        assert_eq!(
            offloaded.iter().map(Vec::len).collect::<Vec<_>>(),
            [1000, 1000, 500]
        );
    }
}
