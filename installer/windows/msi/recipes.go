package main

import "text/template"

// What is given on the command line reaches the part that runs with an
// administrator's rights only if it is among these.
const (
	secure = "UPDATE `Property` SET `Value`='WIX_DOWNGRADE_DETECTED;WIX_UPGRADE_DETECTED;"
	known  = "' WHERE `Property`='SecureCustomProperties'"
)

// corrections are what wixl can't be told: a component's condition, and where
// exactly an action stands among the others.
var corrections = map[string][]string{
	"earshot": {
		"UPDATE `Component` SET `Condition`='NOT NOAUTOSTART' WHERE `Component`='AtLogin'",
		"UPDATE `Component` SET `Condition`='SERVER' WHERE `Component`='Coordinator'",
		secure + "SERVER;NOAUTOSTART" + known,
	},
	"earshotd": {
		secure + "LISTEN;DATA;FIREWALL;NOSTART;PURGE" + known,
		"UPDATE `InstallExecuteSequence` SET `Sequence`=1605 WHERE `Action`='UnregisterAndPurge'",
		"UPDATE `InstallExecuteSequence` SET `Sequence`=1510 WHERE `Action`='StopOld'",
		"UPDATE `InstallExecuteSequence` SET `Sequence`=1610 WHERE `Action`='Unregister'",
		"UPDATE `InstallExecuteSequence` SET `Sequence`=4010 WHERE `Action`='Register'",
		"UPDATE `InstallExecuteSequence` SET `Sequence`=4020 WHERE `Action`='RegisterWithData'",
		"UPDATE `InstallExecuteSequence` SET `Sequence`=4030 WHERE `Action`='RemoveExistingProducts'",
		"UPDATE `InstallExecuteSequence` SET `Sequence`=4040 WHERE `Action`='Start'",
	},
}

// The installers' upgrade codes are what Windows knows the products by, and are
// never changed.

// coordinator registers the service by the program's own verbs, which know
// recovery, rights and deadlines better than Windows Installer does. An upgrade
// leaves the registration as the administrator has made it. The old version is
// removed after the new one is there, so its own removal must touch neither.
//
//	LISTEN       where people log in; :13277
//	DATA         the data directory; %ProgramData%\Earshot
//	FIREWALL=off leave the firewall alone
//	NOSTART=1    don't start the service now
//	PURGE=1      with /x: delete the data, too; with DATA if that was given
var coordinator = template.Must(template.New("earshotd").Parse(`<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Id="{{.Product}}" Name="Earshot coordinator" Language="1033" Version="{{.Version}}" Manufacturer="Earshot"
      UpgradeCode="5F0A6C55-53C3-4B8C-8B35-2AE5D4E5C1A1">
    <Package InstallerVersion="500" Compressed="yes" InstallScope="perMachine" Description="Earshot coordinator"/>
    <MajorUpgrade DowngradeErrorMessage="A later version of Earshot's coordinator is installed. Remove it first if you want this one."/>
    <Media Id="1" Cabinet="earshotd.cab" EmbedCab="yes"/>
    <Icon Id="earshot.ico" SourceFile="{{.Icon}}"/>
    <Property Id="ARPPRODUCTICON" Value="earshot.ico"/>
    <Property Id="LISTEN" Value=":13277"/>
    <Property Id="FIREWALL" Value="on"/>
    <Directory Id="TARGETDIR" Name="SourceDir">
      <Directory Id="ProgramFiles64Folder">
        <Directory Id="INSTALLDIR" Name="Earshot">
          <Component Id="Program" Guid="0B1B0A66-4A6B-4E57-8E1C-2F6F4C2C9B11" Win64="yes">
            <File Id="earshotd.exe" Source="{{.Program}}" KeyPath="yes"/>
          </Component>
        </Directory>
      </Directory>
    </Directory>
    <Feature Id="Main" Level="1"><ComponentRef Id="Program"/></Feature>
    <CustomAction Id="StopOld" FileKey="earshotd.exe" ExeCommand="stop" Execute="deferred" Impersonate="no" Return="ignore"/>
    <CustomAction Id="Register" FileKey="earshotd.exe" ExeCommand="install --firewall [FIREWALL] --listen [LISTEN]" Execute="deferred" Impersonate="no" Return="check"/>
    <CustomAction Id="RegisterWithData" FileKey="earshotd.exe" ExeCommand="install --firewall [FIREWALL] --listen [LISTEN] --data &quot;[DATA]&quot;" Execute="deferred" Impersonate="no" Return="check"/>
    <CustomAction Id="Start" FileKey="earshotd.exe" ExeCommand="start" Execute="deferred" Impersonate="no" Return="ignore"/>
    <CustomAction Id="UnregisterAndPurge" FileKey="earshotd.exe" ExeCommand="uninstall --purge --data &quot;[DATA]&quot;" Execute="deferred" Impersonate="no" Return="ignore"/>
    <CustomAction Id="Unregister" FileKey="earshotd.exe" ExeCommand="uninstall" Execute="deferred" Impersonate="no" Return="ignore"/>
    <InstallExecuteSequence>
      <Custom Action="StopOld" After="InstallInitialize">WIX_UPGRADE_DETECTED</Custom>
      <Custom Action="Unregister" After="ProcessComponents">REMOVE="ALL" AND NOT UPGRADINGPRODUCTCODE AND NOT PURGE</Custom>
      <Custom Action="UnregisterAndPurge" After="ProcessComponents">REMOVE="ALL" AND NOT UPGRADINGPRODUCTCODE AND PURGE</Custom>
      <Custom Action="Register" After="InstallFiles">NOT REMOVE AND NOT WIX_UPGRADE_DETECTED AND NOT DATA</Custom>
      <Custom Action="RegisterWithData" After="Register">NOT REMOVE AND NOT WIX_UPGRADE_DETECTED AND DATA</Custom>
      <Custom Action="Start" After="RegisterWithData">NOT REMOVE AND NOT NOSTART</Custom>
    </InstallExecuteSequence>
  </Product>
</Wix>
`))

// client puts the program into the start menu and starts it at each login.
//
//	SERVER         the coordinator for who has chosen none: an address, or its link
//	NOAUTOSTART=1  don't start at login
var client = template.Must(template.New("earshot").Parse(`<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Id="{{.Product}}" Name="Earshot" Language="1033" Version="{{.Version}}" Manufacturer="Earshot"
      UpgradeCode="A1C3B2F4-7D4E-4E0B-9D5A-4B8B6C1F2E77">
    <Package InstallerVersion="500" Compressed="yes" InstallScope="perMachine" Description="Earshot messenger"/>
    <MajorUpgrade DowngradeErrorMessage="A later version of Earshot is installed. Remove it first if you want this one."/>
    <Media Id="1" Cabinet="earshot.cab" EmbedCab="yes"/>
    <Icon Id="earshot.ico" SourceFile="{{.Icon}}"/>
    <Property Id="ARPPRODUCTICON" Value="earshot.ico"/>
    <Directory Id="TARGETDIR" Name="SourceDir">
      <Directory Id="ProgramFiles64Folder">
        <Directory Id="INSTALLDIR" Name="Earshot">
          <Component Id="Program" Guid="8D7B5A3E-31B6-4F47-9A51-5E0D9F0C7A22" Win64="yes">
            <File Id="earshot.exe" Source="{{.Program}}" KeyPath="yes"/>
          </Component>
          <Component Id="AtLogin" Guid="C5E8A0B1-6E25-4B7C-8A4B-0C0D7E9F1B33" Win64="yes">
            <RegistryValue Root="HKLM" Key="Software\Microsoft\Windows\CurrentVersion\Run" Name="Earshot" Type="string"
                Value="&quot;[INSTALLDIR]earshot.exe&quot;" KeyPath="yes"/>
          </Component>
          <Component Id="Coordinator" Guid="4E6B7A11-95C4-4C64-8B0E-3A2C5D7E8F44" Win64="yes">
            <RegistryValue Root="HKLM" Key="Software\Policies\Earshot\Recommended" Name="server" Type="string"
                Value="[SERVER]" KeyPath="yes"/>
          </Component>
        </Directory>
      </Directory>
      <Directory Id="ProgramMenuFolder">
        <Component Id="StartMenu" Guid="F2D9C8B7-0A1B-4C3D-9E5F-6A7B8C9D0E55" Win64="yes">
          <Shortcut Id="Shortcut" Name="Earshot" Target="[INSTALLDIR]earshot.exe" WorkingDirectory="INSTALLDIR" Icon="earshot.ico"/>
          <RegistryValue Root="HKLM" Key="Software\Earshot" Name="installed" Type="integer" Value="1" KeyPath="yes"/>
        </Component>
      </Directory>
    </Directory>
    <Feature Id="Main" Level="1">
      <ComponentRef Id="Program"/>
      <ComponentRef Id="AtLogin"/>
      <ComponentRef Id="Coordinator"/>
      <ComponentRef Id="StartMenu"/>
    </Feature>
  </Product>
</Wix>
`))
