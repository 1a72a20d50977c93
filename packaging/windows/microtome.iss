; Prepared and untested: an installer of dist\microtome for Inno Setup 6. It was never run.
; It offers Microtome for .h5 in "Open with", and leaves the program that opens them now alone.

[Setup]
AppId=Microtome
AppName=Microtome
AppVersion=0.1.0
DefaultDirName={autopf}\Microtome
DefaultGroupName=Microtome
PrivilegesRequired=lowest
PrivilegesRequiredOverridesAllowed=dialog
ChangesAssociations=yes
SetupIconFile=microtome.ico
UninstallDisplayIcon={app}\microtome-window.exe
OutputDir=..\..\dist
OutputBaseFilename=microtome-setup

[Files]
Source: "..\..\dist\microtome\*"; DestDir: "{app}"; Flags: recursesubdirs ignoreversion

[Icons]
Name: "{group}\Microtome"; Filename: "{app}\microtome-window.exe"

[Registry]
Root: HKA; Subkey: "Software\Classes\Microtome.Session"; ValueType: string; ValueData: "Microtome session"; Flags: uninsdeletekey
Root: HKA; Subkey: "Software\Classes\Microtome.Session\DefaultIcon"; ValueType: string; ValueData: "{app}\microtome-window.exe,0"
Root: HKA; Subkey: "Software\Classes\Microtome.Session\shell\open\command"; ValueType: string; ValueData: """{app}\microtome-window.exe"" ""%1"""
Root: HKA; Subkey: "Software\Classes\.h5\OpenWithProgids"; ValueType: string; ValueName: "Microtome.Session"; ValueData: ""; Flags: uninsdeletevalue
