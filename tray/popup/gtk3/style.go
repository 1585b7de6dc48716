//go:build linux

package gtk3

// style is built on the theme's own colours, so it follows a dark theme and a
// high contrast one. The sizes are relative to the person's font.
const style = `
.earshot-header { padding: 12px 16px 10px 16px; }
.earshot-name { font-weight: bold; font-size: 115%; }
.earshot-presence, .earshot-hint, .earshot-meta, .earshot-detail { font-size: 88%; opacity: 0.72; }
.earshot-more { padding: 0 10px; min-height: 32px; font-size: 130%; }
.earshot-dot { color: alpha(@theme_fg_color, 0.45); font-size: 80%; }
.earshot-dot.online { color: #2f9e55; }

.earshot-list, .earshot-list row { background-color: transparent; }
.earshot-list { padding-bottom: 8px; }
.earshot-list row { padding: 0; }
.earshot-people { padding-bottom: 0; }
.earshot-list row:hover { background-color: transparent; }
.earshot-messages { background-color: @theme_base_color; }
.earshot-empty { padding: 32px; opacity: 0.72; }

.earshot-day { font-size: 85%; opacity: 0.72; padding: 12px 0 6px 0; }
.earshot-bubble { border-radius: 10px; padding: 7px 11px 6px 11px; color: @theme_text_color; }
.earshot-own { background-color: mix(@theme_base_color, @theme_selected_bg_color, 0.24); border-bottom-right-radius: 3px; }
.earshot-other { background-color: mix(@theme_base_color, @theme_text_color, 0.09); border-bottom-left-radius: 3px; }
.earshot-author { font-weight: bold; font-size: 88%; }
.earshot-quote { font-size: 88%; opacity: 0.8; border-left: 2px solid @borders; padding-left: 6px; }
.earshot-urgent { box-shadow: inset 3px 0 @warning_color; }
.earshot-faded { font-style: italic; opacity: 0.72; }
.earshot-failed { box-shadow: inset 0 0 0 1px @error_color; }
.earshot-problem { font-size: 88%; color: mix(@error_color, @theme_text_color, 0.4); }
.earshot-retry { padding: 1px 8px; min-height: 22px; font-size: 88%; }

.earshot-notice { background-color: mix(@theme_base_color, @warning_color, 0.22); color: @theme_text_color; padding: 8px 16px; font-size: 92%; }
.earshot-compose { padding: 10px 12px 4px 12px; }
.earshot-entry { border: 1px solid @borders; border-radius: 6px; background-color: @theme_base_color; }
.earshot-entry.focused { border-color: @theme_selected_bg_color; }
.earshot-entry scrollbar slider { min-height: 12px; }
.earshot-entry textview, .earshot-entry textview text { background-color: transparent; }
.earshot-entry textview { padding: 8px 10px; }
.earshot-placeholder { padding: 8px 10px; color: @theme_text_color; opacity: 0.6; }
.earshot-find-placeholder { padding: 0 0 0 36px; color: @theme_text_color; opacity: 0.6; }
.earshot-bubble link { color: mix(@theme_text_color, @theme_selected_bg_color, 0.7); }
.earshot-emoji { padding: 0 8px; min-height: 36px; font-size: 130%; opacity: 0.8; }
.earshot-hint { padding: 2px 14px 10px 14px; }

.earshot-search { padding: 12px 12px 10px 12px; }
.earshot-to { padding: 8px 2px 0 2px; font-size: 92%; }
.earshot-people row { padding: 8px 14px; transition: none; }
.earshot-people row:hover { background-color: alpha(@theme_text_color, 0.06); }
.earshot-people row:selected { background-color: @theme_selected_bg_color; color: @theme_selected_fg_color; }
.earshot-people row:selected .earshot-detail { opacity: 0.92; }
.earshot-people row:selected .earshot-dot { color: @theme_selected_fg_color; }
.earshot-person { font-weight: 500; }
.earshot-badge { background-color: @theme_selected_bg_color; color: @theme_selected_fg_color; border-radius: 9px; padding: 0 7px; font-size: 85%; font-weight: bold; }
.earshot-people row:selected .earshot-badge { background-color: @theme_selected_fg_color; color: @theme_selected_bg_color; }
`

// addStyle gives the style to all windows.
func addStyle() {
	provider := gCSSNew()
	gCSSLoad(provider, style, int64(len(style)), 0)
	gAddProvider(gScreenDefault(), provider, priorityApp)
}

// class adds a style class to a widget and returns the widget.
func class(widget ptr, names ...string) ptr {
	context := gStyleContext(widget)
	for _, name := range names {
		gAddClass(context, name)
	}
	return widget
}

// setClass adds or removes a style class.
func setClass(widget ptr, name string, on bool) {
	if on {
		gAddClass(gStyleContext(widget), name)
	} else {
		gRemoveClass(gStyleContext(widget), name)
	}
}

// label makes a label of plain text.
func label(text string, classes ...string) ptr {
	l := class(labelNew(""), classes...)
	labelText(l, text)
	labelXalign(l, 0)
	return l
}

// flag is a gboolean.
func flag(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
