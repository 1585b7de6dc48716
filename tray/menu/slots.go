package menu

import "earshot/tray/chat"

const (
	// maxPeople is how many rows the menu has for people, headings among them:
	// more than fit a screen is what Find is for.
	maxPeople = 26
	// maxGroups is how many departments have a submenu, and maxMembers how many
	// people each of these holds. A panel reads all rows anew when one of them
	// changes, be they seen or not.
	maxGroups  = 8
	maxMembers = 16
	// maxWidth is how wide a name may be, in columns.
	maxWidth = 40
)

// kind is what a click on a row does.
type kind uint8

const (
	nothing kind = iota
	compose      // opens the popup for value, a peer; Find if that is empty
	open         // opens the submenu that is below the row
	be           // tells the others of presence
	quiet        // wants no disturbance for value
	page         // shows the page that value names in the browser
	quit
)

// row is one line of the menu. The zero row is hidden.
type row struct {
	title string
	kind  kind
	value string
	// presence is of be, and checked says that it is the present one.
	presence chat.Presence
	checked  bool
}

// The slots of the menu, in order. Each is one item that lives as long as the
// icon and is retitled, shown and hidden: items that come and go would make
// the panel read the whole menu anew and close it under the pointer.
const (
	slotSelf     = 0
	slotProblem  = 1
	slotEveryone = 2
	slotPeople   = 3
	slotGroups   = slotPeople + maxPeople
	slotMore     = slotGroups + maxGroups
	slotFind     = slotMore + 1
	slotSeveral  = slotFind + 1
	slotQuiet    = slotSeveral + 1
	slotHistory  = slotQuiet + 1
	slotSettings = slotHistory + 1
	slotDiagnose = slotSettings + 1
	slotQuit     = slotDiagnose + 1

	slotPresence = slotQuit + 1 // in a submenu of slotSelf, the status text below them
	slotStatus   = slotPresence + len(presences)
	slotLengths  = slotStatus + 1 // in a submenu of slotQuiet
	slotMembers  = slotLengths + len(lengths) + 1
	// groupSlots are in the submenu of a group: all of it, its members, and the
	// others.
	groupSlots = 1 + maxMembers + 1
	slots      = slotMembers + maxGroups*groupSlots
)

// parent is the slot in whose submenu a slot is, or below 0.
func parent(slot int) int {
	switch {
	case slot >= slotMembers:
		return slotGroups + (slot-slotMembers)/groupSlots
	case slot >= slotLengths:
		return slotQuiet
	case slot >= slotPresence:
		return slotSelf
	}
	return -1
}

// endsSection says that a separator stands below a slot.
func endsSection(slot int) bool { return slot == slotProblem || slot == slotMore || slot == slotQuiet }

// members are the slots of a group's submenu.
func members(group int) (first, end int) {
	first = slotMembers + group*groupSlots
	return first, first + groupSlots
}
