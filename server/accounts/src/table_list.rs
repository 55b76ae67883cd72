//! The list of this crate's tables, for maintenance that treats all tables alike.

use nexus_event_store::table_list::TableInfo;

use crate::profile_fields::ProfileFields;
use crate::tables::{
    AccessTokens, AccountData, AccountRows, Applications, Devices, Emails, Filters, FirstAccount,
    GatewaySessions, OwnedApplications, Profiles, RefreshTokens, UserDevices,
};

/// The tables of this crate.
#[must_use]
pub fn tables() -> Vec<TableInfo> {
    vec![
        TableInfo::of::<AccountRows>(),
        TableInfo::of::<Emails>(),
        TableInfo::of::<Devices>(),
        TableInfo::of::<UserDevices>(),
        TableInfo::of::<AccessTokens>(),
        TableInfo::of::<RefreshTokens>(),
        TableInfo::of::<FirstAccount>(),
        TableInfo::of::<Profiles>(),
        TableInfo::of::<ProfileFields>(),
        TableInfo::of::<AccountData>(),
        TableInfo::of::<Filters>(),
        TableInfo::of::<Applications>(),
        TableInfo::of::<OwnedApplications>(),
        TableInfo::of::<GatewaySessions>(),
    ]
}
