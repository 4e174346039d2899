//! The small root boots, judged by itself: every firmware with every DHCP mode and kind of root.
//!
//! Six boots that hold every pair of (firmware, mode, root) run each time, and one by UEFI's HTTP
//! Boot; those called `matrix_…` complete the matrix, for `cargo xtask test --full`.

use integration::boot::small_root_passes;
use integration::{Firmware::*, Mode::*, RootKind::*, in_lab};

macro_rules! boots {
    ($($name:ident: $firmware:ident $mode:ident $root:ident;)*) => {
        $(
            #[test]
            fn $name() {
                in_lab(|lab| small_root_passes(lab, $firmware, $mode, $root));
            }
        )*
    };
}

boots! {
    bios_boots_an_image_in_full_mode: Bios Full Image;
    bios_boots_a_tree_in_proxy_mode: Bios Proxy Tree;
    bios_boots_into_ram_in_full_mode: Bios Full Ram;
    uefi_boots_an_image_in_proxy_mode: Uefi Proxy Image;
    uefi_boots_a_tree_in_full_mode: Uefi Full Tree;
    uefi_boots_into_ram_in_proxy_mode: Uefi Proxy Ram;
    uefi_boots_over_http_without_tftp: UefiHttp Full Tree;

    matrix_uefi_boots_over_http_in_proxy_mode: UefiHttp Proxy Image;
    matrix_bios_boots_an_image_in_proxy_mode: Bios Proxy Image;
    matrix_bios_boots_a_tree_in_full_mode: Bios Full Tree;
    matrix_bios_boots_into_ram_in_proxy_mode: Bios Proxy Ram;
    matrix_uefi_boots_an_image_in_full_mode: Uefi Full Image;
    matrix_uefi_boots_a_tree_in_proxy_mode: Uefi Proxy Tree;
    matrix_uefi_boots_into_ram_in_full_mode: Uefi Full Ram;
}
