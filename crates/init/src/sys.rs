//! The system calls that rustix has no safe function for: ioctls of the loop driver and of the device mapper, and
//! swapon.
//!
//! This is the only file of the crate with unsafe code.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use rustix::io::Result;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl};

const LOOP_SET_FD: Opcode = 0x4C00;
const LOOP_SET_STATUS64: Opcode = 0x4C04;
const LOOP_CONFIGURE: Opcode = 0x4C0A;
const LOOP_CTL_GET_FREE: Opcode = 0x4C82;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// `struct loop_info64` of `<linux/loop.h>`.
#[repr(C)]
#[derive(Clone, Copy)]
struct LoopInfo64 {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config` of `<linux/loop.h>`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo64,
    reserved: [u64; 8],
}

unsafe extern "C" {
    // swapon(2), from the C library that std links anyway.
    #[link_name = "swapon"]
    fn c_swapon(path: *const c_char, flags: c_int) -> c_int;
}

/// Uses this device for swapping.
pub(crate) fn swap_on(device: &CStr) -> io::Result<()> {
    // SAFETY: swapon reads the path, which ends with a null byte and lives for the call.
    match unsafe { c_swapon(device.as_ptr(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Number of a loop device that nobody uses; `control` is `/dev/loop-control`.
pub(crate) fn loop_free(control: &File) -> Result<u32> {
    // SAFETY: LOOP_CTL_GET_FREE takes no argument and touches no memory of ours; `control` is an
    // open file, and on one that is not loop-control the kernel answers ENOTTY.
    unsafe { ioctl(control, Number::<LOOP_CTL_GET_FREE>(0)) }
}

/// Binds `backing` to the loop device `device`, read-only, let go when its last user is gone.
pub(crate) fn loop_configure(device: &File, backing: &File) -> Result<()> {
    let info = LoopInfo64 {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        size_limit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
        file_name: [0; 64],
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    };
    let config = LoopConfig {
        fd: fd_word(backing.as_raw_fd()),
        block_size: 0,
        info,
        reserved: [0; 8],
    };
    // SAFETY: LOOP_CONFIGURE reads one `struct loop_config`, which `config` is (repr(C), the
    // kernel's layout, asserted below), alive for the call; it writes nothing to our memory.
    match unsafe { ioctl(device, Pointer::<LOOP_CONFIGURE, _>(&config)) } {
        // Before Linux 5.8 there is no LOOP_CONFIGURE.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOTTY) => {
            // SAFETY: LOOP_SET_FD takes a file descriptor as its argument and touches no memory;
            // LOOP_SET_STATUS64 reads one `struct loop_info64`, which `info` is.
            unsafe {
                let fd = backing.as_raw_fd() as usize;
                ioctl(device, Number::<LOOP_SET_FD>(fd))?;
                ioctl(device, Pointer::<LOOP_SET_STATUS64, _>(&info))
            }
        }
        other => other,
    }
}

/// Bytes of `struct dm_ioctl` of `<linux/dm-ioctl.h>`, with which each message begins.
pub(crate) const DM_HEADER: usize = 312;

/// Sends a command to the device mapper; `control` is `/dev/mapper/control`. The header says how long the message is;
/// this fills that in. The kernel's answer takes the place of the message.
pub(crate) fn device_mapper<const OPCODE: Opcode>(
    control: &File,
    message: &mut [u8],
) -> Result<()> {
    const SIZE: std::ops::Range<usize> = 12..16;
    let size = u32::try_from(message.len()).map_err(|_| rustix::io::Errno::INVAL)?;
    if message.len() < DM_HEADER {
        return Err(rustix::io::Errno::INVAL);
    }
    message[SIZE].copy_from_slice(&size.to_ne_bytes());
    // SAFETY: all commands of the device mapper read a `struct dm_ioctl`, of which there is enough (checked above),
    // and read and write as many bytes as its `data_size` says, which is the length of `message`, written just now.
    // It is borrowed for the call, and bytes have no alignment or invalid values. On a file that is not the device
    // mapper's the kernel answers ENOTTY.
    unsafe { ioctl(control, Message::<OPCODE>(message)) }
}

const _: () = assert!(size_of::<LoopInfo64>() == 232 && size_of::<LoopConfig>() == 304);

fn fd_word(fd: RawFd) -> u32 {
    u32::try_from(fd).expect("an open file's descriptor is not negative")
}

/// An ioctl whose argument and answer are plain numbers.
struct Number<const OPCODE: Opcode>(usize);

// SAFETY: the argument is a number that the kernel does not follow as a pointer (each use above
// names such an ioctl), and the output is the call's return value.
unsafe impl<const OPCODE: Opcode> Ioctl for Number<OPCODE> {
    type Output = u32;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        OPCODE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::without_provenance_mut(self.0)
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> Result<u32> {
        Ok(out as u32)
    }
}

/// An ioctl that reads one structure and answers nothing.
struct Pointer<'a, const OPCODE: Opcode, T>(&'a T);

// SAFETY: the pointer comes from a live reference to the structure that the ioctl reads (each use
// above names it); the kernel does not write through it, so `IS_MUTATING` is false.
unsafe impl<const OPCODE: Opcode, T> Ioctl for Pointer<'_, OPCODE, T> {
    type Output = ();
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        OPCODE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_ref(self.0).cast_mut().cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> Result<()> {
        Ok(())
    }
}

/// An ioctl whose argument is bytes that the kernel reads and writes.
struct Message<'a, const OPCODE: Opcode>(&'a mut [u8]);

// SAFETY: the pointer comes from a live, exclusive reference to as many bytes as the kernel is told of in them.
unsafe impl<const OPCODE: Opcode> Ioctl for Message<'_, OPCODE> {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        OPCODE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.0.as_mut_ptr().cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> Result<()> {
        Ok(())
    }
}
