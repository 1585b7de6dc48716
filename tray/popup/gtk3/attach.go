//go:build linux

package gtk3

import (
	"strings"
	"unsafe"

	"earshot/tray/popup/ui"
)

// The kinds of what can be dropped, as infos of target lists.
const (
	targetURI = iota
	targetText
	targetPicture
)

// targetsOf makes a list of targets of these kinds. It lasts as long as the
// process.
func targetsOf(kinds ...uint32) ptr {
	list := targetListNew(0, 0)
	for _, kind := range kinds {
		switch kind {
		case targetURI:
			targetListURIs(list, kind)
		case targetText:
			targetListText(list, kind)
		case targetPicture:
			targetListImages(list, kind, 0)
		}
	}
	return list
}

// takeAttachments has the window take what is dropped anywhere on it and what is
// pasted into the entry: text goes into the entry, of all else the model is
// told.
func (c *conversation) takeAttachments() {
	const noDefaults, actionCopy = 0, 2
	c.onPlain(c.view, "paste-clipboard", func() {
		gSignalStop(c.view, "paste-clipboard")
		c.paste()
	})
	dragDestSet(c.top, noDefaults, 0, 0, actionCopy)
	c.takeDrops(c.top)
	c.takeDrops(c.view) // which else takes the path of a file for text
	c.drag(c.top, "drag-data-received", callbacks().data, func() bool {
		c.dropped(dragged.context, dragged.selection, dragged.time)
		return false
	})
}

// drag connects one of the signals of dragging.
func (c *conversation) drag(widget ptr, signal string, shape ptr, f func() bool) {
	id := handlers.add(func(ptr) bool { return !c.closed && f() })
	c.ids = append(c.ids, id)
	gSignalConnect(widget, signal, shape, id, 0, 0)
}

// paste asks what the clipboard has. Who copies a picture in a browser or a
// table in a spreadsheet offers both picture and text, and means the text.
func (c *conversation) paste() {
	clipboard := clipboardGet(gAtom("CLIPBOARD", 0))
	ask := func(request func(clipboard, f, data ptr), shape ptr, f func()) {
		request(clipboard, shape, handlers.add(func(ptr) bool {
			if !c.closed {
				f()
			}
			return false
		}))
	}
	ask(clipboardTargets, callbacks().targets, func() {
		list, n := offered.list, offered.n
		switch {
		case list == 0:
		case targetsHaveURI(list, n) != 0:
			ask(clipboardURIs, callbacks().uris, func() { c.takeURIs(uris(offered.list)) })
		case targetsHaveText(list, n) != 0:
			bufferPaste(c.buffer, clipboard, 0, 1)
		case targetsHaveImage(list, n, 0) != 0:
			c.handler.Attached(ui.AttachPicture)
		}
	})
}

// takeURIs takes links as text and tells of files.
func (c *conversation) takeURIs(list []string) {
	for _, uri := range list {
		scheme, _, _ := strings.Cut(uri, ":")
		switch strings.ToLower(scheme) {
		case "http", "https", "mailto", "ftp":
		default: // file, trash, sftp, smb and what else file managers have
			c.handler.Attached(ui.AttachFiles)
			return
		}
	}
	c.insert(strings.Join(list, "\n"))
}

// insert types text where the caret is.
func (c *conversation) insert(text string) {
	if text = strings.TrimRight(text, "\r\n"); text != "" {
		bufferType(c.buffer, text, int32(len(text)), 1)
		c.write()
	}
}

// takeDrops has a widget take drops. GTK asks the innermost widget first; the
// entry takes text by itself.
func (c *conversation) takeDrops(widget ptr) {
	list := targetsOf(targetURI, targetText, targetPicture)
	text := targetsOf(targetText)
	// target is what of the drag is taken, or 0 if that is the entry's business
	// or nobody's.
	target := func() ptr {
		found := dragFindTarget(widget, dragged.context, list)
		if found != 0 && widget == c.view && found == dragFindTarget(widget, dragged.context, text) {
			return 0
		}
		return found
	}
	c.drag(widget, "drag-motion", callbacks().drag, func() bool {
		const actionCopy = 2
		if target() == 0 {
			return false
		}
		gDragStatus(dragged.context, actionCopy, dragged.time)
		return true
	})
	c.drag(widget, "drag-drop", callbacks().drag, func() bool {
		wanted := target()
		if wanted == 0 {
			return false
		}
		// The window is told of it: the entry would be only of what it takes.
		dragGetData(c.top, dragged.context, wanted, dragged.time)
		return true
	})
}

// dropped takes what a drop has brought.
func (c *conversation) dropped(context, selection ptr, time uint32) {
	defer dragFinish(context, 1, 0, time)
	if list := selectionURIs(selection); list != 0 {
		defer gStringsFree(list)
		c.takeURIs(uris(list))
		return
	}
	if text := selectionText(selection); text != nil {
		defer gFree(text)
		c.insert(goString(text))
		return
	}
	c.handler.Attached(ui.AttachPicture)
}

// uris copies a NULL-terminated list of C strings, which may be nil.
func uris(list ptr) (all []string) {
	if list == 0 {
		return nil
	}
	for at := unsafe.Pointer(pointer(list)); ; at = unsafe.Add(at, unsafe.Sizeof(ptr(0))) {
		uri := *(**byte)(at)
		if uri == nil {
			return all
		}
		all = append(all, goString(uri))
	}
}
