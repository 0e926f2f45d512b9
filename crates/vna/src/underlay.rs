//! The underlay's MTU: that of the device which has the address.

use std::net::IpAddr;

use futures::TryStreamExt;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::LinkAttribute;
use tracing::warn;

/// MTU of the device with this address, in bytes; `None`, with a warning, if it cannot be told.
pub async fn mtu(address: IpAddr) -> Option<u16> {
    match look_up(address).await {
        Ok(Some(mtu)) => return Some(mtu),
        Ok(None) => warn!(%address, "no device has the underlay address: its MTU is not known"),
        Err(error) => warn!(%address, %error, "the underlay's MTU is not known"),
    }
    None
}

async fn look_up(address: IpAddr) -> Result<Option<u16>, rtnetlink::Error> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(|_| rtnetlink::Error::RequestFailed)?;
    let connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
    let mut addresses = handle.address().get().set_address_filter(address).execute();
    let Some(found) = addresses.try_next().await? else { return Ok(None) };
    let is_it = |attribute: &AddressAttribute| match attribute {
        AddressAttribute::Local(local) => *local == address,
        AddressAttribute::Address(of_device) => *of_device == address,
        _ => false,
    };
    if !found.attributes.iter().any(is_it) {
        return Ok(None);
    }
    let link = handle.link().get().match_index(found.header.index).execute().try_next().await?;
    drop(connection);
    let attributes = link.map(|link| link.attributes).unwrap_or_default();
    let mtu = attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Mtu(mtu) => Some(*mtu),
        _ => None,
    });
    // A loopback device's is larger than any packet.
    Ok(mtu.map(|mtu| u16::try_from(mtu).unwrap_or(u16::MAX)))
}
