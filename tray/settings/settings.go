// Package settings is everything that a person, or an administrator, can set:
// one table that says of each setting what it is called, what it may be and
// what it is if nobody chose, and that everything else reads — the settings
// file, the policy, the command line, the local API and the page.
package settings

import (
	"slices"
	"strings"
)

// Group is where a setting stands on the page.
type Group string

// Groups are in the order of the page.
const (
	GroupYou           Group = "you"
	GroupNotifications Group = "notifications"
	GroupQuiet         Group = "quiet"
	GroupPeople        Group = "people"
	GroupPrivacy       Group = "privacy"
	GroupProgram       Group = "program"
	GroupNetwork       Group = "network"
)

// Groups returns all groups with the IDs of their headings, in their order.
func Groups() []struct {
	Group Group
	Label string
} {
	return []struct {
		Group Group
		Label string
	}{
		{GroupYou, "SettingsGroupYou"},
		{GroupNotifications, "SettingsGroupNotifications"},
		{GroupQuiet, "SettingsGroupQuiet"},
		{GroupPeople, "SettingsGroupPeople"},
		{GroupPrivacy, "SettingsGroupPrivacy"},
		{GroupProgram, "SettingsGroupProgram"},
		{GroupNetwork, "SettingsGroupNetwork"},
	}
}

// Setting is one line of the table.
type Setting struct {
	Name  string
	Group Group
	Kind  Kind
	// Label and Help are the IDs of what it is called and of the sentence that
	// explains it.
	Label, Help string
	// Default is what holds if nobody chose.
	Default any
	// Min and Max are of a Number; Max is also how many characters a Text has
	// at most.
	Min, Max int
	// Words are numbers that people write as a word: never, forever.
	Words []Word
	// Choices are what a Choice may be, and what is offered for a Text.
	Choices []Option
	// Personal is nobody's but the person's: a policy can't have it.
	Personal bool
	// Outside is kept by the operating system and not in the settings file. A
	// policy can lock it, and not recommend it.
	Outside bool
	// NextStart says that a change takes effect when Earshot starts the next
	// time; all others do at once.
	NextStart bool

	check func(text string) *Problem // of a Text
	at    func(*Values) any          // a pointer to its field; nil if Outside
}

// Word is a number that has a name.
type Word struct {
	Word  string // as the command line takes it
	Value int
	Label string // ID
}

// Option is one value of a choice.
type Option struct {
	Value string
	Label string // ID; the value itself if it is empty
}

// The table is in the order of the page.
var table = []Setting{
	{Name: "name", Group: GroupYou, Kind: Text, Default: "", Max: 64, check: checkName,
		Label: "SettingsName", Help: "SettingsNameHelp", at: func(v *Values) any { return &v.Name }},
	{Name: "away_after", Group: GroupYou, Kind: Number, Default: 10, Min: 1, Max: 43200, Words: []Word{{"never", -1, "SettingsNever"}},
		Label: "SettingsAwayAfter", Help: "SettingsAwayAfterHelp", at: func(v *Values) any { return &v.AwayAfter }},

	{Name: "notify_message", Group: GroupNotifications, Kind: Switch, Default: true,
		Label: "SettingsNotifyMessage", Help: "SettingsNotifyMessageHelp", at: func(v *Values) any { return &v.NotifyMessage }},
	{Name: "notify_preview", Group: GroupNotifications, Kind: Switch, Default: true,
		Label: "SettingsNotifyPreview", Help: "SettingsNotifyPreviewHelp", at: func(v *Values) any { return &v.NotifyPreview }},
	{Name: "notify_login", Group: GroupNotifications, Kind: Switch, Default: true,
		Label: "SettingsNotifyLogin", Help: "SettingsNotifyLoginHelp", at: func(v *Values) any { return &v.NotifyLogin }},
	{Name: "notify_logout", Group: GroupNotifications, Kind: Switch, Default: true,
		Label: "SettingsNotifyLogout", Help: "SettingsNotifyLogoutHelp", at: func(v *Values) any { return &v.NotifyLogout }},
	{Name: "notify_file", Group: GroupNotifications, Kind: Switch, Default: true,
		Label: "SettingsNotifyFile", Help: "SettingsNotifyFileHelp", at: func(v *Values) any { return &v.NotifyFile }},
	{Name: "notify_key_change", Group: GroupNotifications, Kind: Switch, Default: true,
		Label: "SettingsNotifyKeyChange", Help: "SettingsNotifyKeyChangeHelp", at: func(v *Values) any { return &v.NotifyKeyChange }},
	{Name: "sounds", Group: GroupNotifications, Kind: Switch, Default: true,
		Label: "SettingsSounds", Help: "SettingsSoundsHelp", at: func(v *Values) any { return &v.Sounds }},

	{Name: "do_not_disturb", Group: GroupQuiet, Kind: Until, Default: "", Personal: true,
		Label: "SettingsDoNotDisturb", Help: "SettingsDoNotDisturbHelp", at: func(v *Values) any { return &v.DoNotDisturb }},
	{Name: "quiet_hours", Group: GroupQuiet, Kind: Switch, Default: false,
		Label: "SettingsQuietHours", Help: "SettingsQuietHoursHelp", at: func(v *Values) any { return &v.QuietHours }},
	{Name: "quiet_from", Group: GroupQuiet, Kind: Clock, Default: "22:00",
		Label: "SettingsQuietFrom", Help: "SettingsQuietFromHelp", at: func(v *Values) any { return &v.QuietFrom }},
	{Name: "quiet_to", Group: GroupQuiet, Kind: Clock, Default: "07:00",
		Label: "SettingsQuietTo", Help: "SettingsQuietToHelp", at: func(v *Values) any { return &v.QuietTo }},
	{Name: "quiet_urgent", Group: GroupQuiet, Kind: Switch, Default: true,
		Label: "SettingsQuietUrgent", Help: "SettingsQuietUrgentHelp", at: func(v *Values) any { return &v.QuietUrgent }},

	{Name: "people", Group: GroupPeople, Kind: Folk, Default: People(nil), Personal: true,
		Label: "SettingsPeople", Help: "SettingsPeopleHelp", at: func(v *Values) any { return &v.People }},

	{Name: "read_receipts", Group: GroupPrivacy, Kind: Switch, Default: true,
		Label: "SettingsReadReceipts", Help: "SettingsReadReceiptsHelp", at: func(v *Values) any { return &v.ReadReceipts }},
	{Name: "typing", Group: GroupPrivacy, Kind: Switch, Default: true,
		Label: "SettingsTyping", Help: "SettingsTypingHelp", at: func(v *Values) any { return &v.Typing }},
	{Name: "history_days", Group: GroupPrivacy, Kind: Number, Default: 0, Min: 1, Max: 36500, Words: []Word{{"forever", 0, "SettingsForever"}},
		Label: "SettingsHistoryDays", Help: "SettingsHistoryDaysHelp", at: func(v *Values) any { return &v.HistoryDays }},
	{Name: "keyring", Group: GroupPrivacy, Kind: Choice, Default: "auto", NextStart: true,
		Choices: []Option{{"auto", "SettingsKeyringAuto"}, {"off", "SettingsKeyringOff"}},
		Label:   "SettingsKeyring", Help: "SettingsKeyringHelp", at: func(v *Values) any { return &v.Keyring }},

	{Name: "language", Group: GroupProgram, Kind: Text, Default: "auto", Max: 35, check: checkLanguage,
		Choices: []Option{{"auto", "SettingsLanguageAuto"}, {"en", "SettingsLanguageEnglish"}, {"zh-Hans", "SettingsLanguageChinese"}},
		Label:   "SettingsLanguage", Help: "SettingsLanguageHelp", at: func(v *Values) any { return &v.Language }},
	{Name: "start_at_login", Group: GroupProgram, Kind: Switch, Default: false, Outside: true,
		Label: "SettingsStartAtLogin", Help: "SettingsStartAtLoginHelp"},

	{Name: "server", Group: GroupNetwork, Kind: Text, Default: "", Max: 500, check: checkServer,
		Label: "SettingsServer", Help: "SettingsServerHelp", at: func(v *Values) any { return &v.Server }},
	{Name: "port_mapping", Group: GroupNetwork, Kind: Switch, Default: true,
		Label: "SettingsPortMapping", Help: "SettingsPortMappingHelp", at: func(v *Values) any { return &v.PortMapping }},
	{Name: "encoding", Group: GroupNetwork, Kind: Choice, Default: "auto",
		Choices: []Option{{"auto", "SettingsEncodingAuto"}, {"utf-16le", ""}, {"utf-8", ""}, {"gb18030", ""}},
		Label:   "SettingsEncoding", Help: "SettingsEncodingHelp", at: func(v *Values) any { return &v.Encoding }},
}

// All returns the table. Nobody changes it.
func All() []Setting { return table }

// Find returns the setting of that name.
func Find(name string) (*Setting, bool) {
	i := slices.IndexFunc(table, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return nil, false
	}
	return &table[i], true
}

// Encodings are the values that the encoding may have.
func Encodings() []string {
	encoding, _ := Find("encoding")
	return encoding.values()
}

func (s *Setting) values() (values []string) {
	for _, c := range s.Choices {
		values = append(values, c.Value)
	}
	return values
}

// personal splits the name of a setting about one person, such as
// people.Ann.login. A name may hold dots; an aspect doesn't.
func personal(name string) (person, aspect string, ok bool) {
	rest, ok := strings.CutPrefix(name, "people.")
	i := strings.LastIndexByte(rest, '.')
	if !ok || i < 1 {
		return "", "", false
	}
	return rest[:i], rest[i+1:], true
}
