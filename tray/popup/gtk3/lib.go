//go:build linux

package gtk3

import (
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// ptr is a pointer to an object that belongs to C.
type ptr = uintptr

// textIter has room for a GtkTextIter, which is opaque and 80 bytes long.
type textIter [128]byte

// rectangle is a GdkRectangle.
type rectangle struct{ x, y, width, height int32 }

// GTK's enumerations, as far as they are used here.
const (
	horizontal = 0
	vertical   = 1

	alignFill   = 0
	alignStart  = 1
	alignEnd    = 2
	alignCenter = 3

	justifyCenter = 2

	wrapWordChar       = 2 // PANGO_WRAP_WORD_CHAR
	wrapTextWordChar   = 3 // GTK_WRAP_WORD_CHAR
	ellipsizeEnd       = 3
	policyNever        = 2
	policyAutomatic    = 1
	selectionNone      = 0
	selectionBrowse    = 2
	priorityHighIdle   = 100
	priorityApp        = 600
	shiftMask          = 1 << 0
	controlMask        = 1 << 2
	altMask            = 1 << 3
	superMask          = 1 << 26
	keyReturn          = 0xff0d
	keyKeypadEnter     = 0xff8d
	keyISOEnter        = 0xfe34
	keyEscape          = 0xff1b
	keyBackspace       = 0xff08
	keyUp              = 0xff52
	keyDown            = 0xff54
	keyPageUp          = 0xff55
	keyPageDown        = 0xff56
	keyKeypadUp        = 0xff97
	keyKeypadDown      = 0xff99
	keyKeypadPageUp    = 0xff9a
	keyKeypadPageDown  = 0xff9b
	windowTypeToplevel = 0
)

// The functions of GTK and the libraries below it. They are set by load.
// A gboolean is an int32.
var (
	gSetenv            func(name, value string, overwrite int32) int32
	gUnsetenv          func(name string)
	gInitCheck         func(argc, argv ptr) int32
	gMainLoopNew       func(context ptr, running int32) ptr
	gMainLoopRun       func(loop ptr)
	gMainLoopQuit      func(loop ptr)
	gMainLoopUnref     func(loop ptr)
	gIdleAddFull       func(priority int32, f, data, notify ptr) uint32
	gSignalConnect     func(object ptr, signal string, f, data, notify ptr, flags int32) uint64
	gSignalEmit        func(object ptr, signal string)
	gFree              func(p *byte)
	gSetPrgname        func(name string)
	gSetAppName        func(name string)
	gTypeName          func(object ptr) string
	gIconName          func(name string)
	gDisplayDefault    func() ptr
	gScreenDefault     func() ptr
	gDefaultSeat       func(display ptr) ptr
	gSeatPointer       func(seat ptr) ptr
	gDevicePosition    func(device ptr, screen ptr, x, y *int32)
	gMonitorAtPoint    func(display ptr, x, y int32) ptr
	gMonitorWorkarea   func(monitor ptr, r *rectangle)
	gEventKeyval       func(event ptr, key *uint32) int32
	gEventState        func(event ptr, state *uint32) int32
	gCurrentState      func(state *uint32) int32
	gKeyvalToUnicode   func(key uint32) uint32
	gX11ServerTime     func(window ptr) uint32
	gCSSNew            func() ptr
	gCSSLoad           func(provider ptr, data string, length int64, err ptr) int32
	gAddProvider       func(screen, provider ptr, priority uint32)
	gStyleContext      func(widget ptr) ptr
	gAddClass          func(context ptr, class string)
	gRemoveClass       func(context ptr, class string)
	gAccessible        func(widget ptr) ptr
	gSetAccessibleName func(object ptr, name string)
	gSetRole           func(object ptr, role int32)
	gRoleByName        func(name string) int32
	gAtkType           func() ptr
	gSignalLookup      func(name string, kind ptr) uint32
	gSignalSay         func(object ptr, signal, text string)
	gSignalStop        func(object ptr, signal string)
	gStringsFree       func(list ptr)
	gAtom              func(name string, existing int32) ptr
	gWindowState       func(window ptr) uint32
	gDragStatus        func(context ptr, action int32, time uint32)

	wShow          func(widget ptr)
	wHide          func(widget ptr)
	wTooltip       func(widget ptr, text string)
	wShowAll       func(widget ptr)
	wSetVisible    func(widget ptr, visible int32)
	wNoShowAll     func(widget ptr, no int32)
	wDestroy       func(widget ptr)
	wRealize       func(widget ptr)
	wGetWindow     func(widget ptr) ptr
	wFrameClock    func(widget ptr) ptr
	wGrabFocus     func(widget ptr)
	wHasFocus      func(widget ptr) int32
	wSensitive     func(widget ptr, sensitive int32)
	wCanFocus      func(widget ptr, can int32)
	wFocusOnClick  func(widget ptr, focus int32)
	wSizeRequest   func(widget ptr, width, height int32)
	wHexpand       func(widget ptr, expand int32)
	wVexpand       func(widget ptr, expand int32)
	wHalign        func(widget ptr, align int32)
	wValign        func(widget ptr, align int32)
	wMarginStart   func(widget ptr, margin int32)
	wMarginEnd     func(widget ptr, margin int32)
	wMarginTop     func(widget ptr, margin int32)
	wMarginBottom  func(widget ptr, margin int32)
	wAllocatedSize func(widget ptr, allocation *rectangle, baseline *int32)

	wChildFocus    func(widget ptr, direction int32) int32
	focusChild     func(container ptr) ptr
	winSize        func(window ptr, width, height *int32)
	winNew         func(kind int32) ptr
	winTitle       func(window ptr, title string)
	winDefaultSize func(window ptr, width, height int32)
	winIcon        func(window ptr, name string)
	winMove        func(window ptr, x, y int32)
	winPresent     func(window ptr, time uint32)
	winIsActive    func(window ptr) int32
	winGetFocus    func(window ptr) ptr

	boxNew        func(orientation, spacing int32) ptr
	boxPackStart  func(box, child ptr, expand, fill int32, padding uint32)
	containerAdd  func(container, child ptr)
	containerDrop func(container, child ptr)
	overlayNew    func() ptr
	overlayAdd    func(overlay, child ptr)
	overlayPass   func(overlay, child ptr, pass int32)
	separatorNew  func(orientation int32) ptr

	labelNew        func(text string) ptr
	labelText       func(label ptr, text string)
	labelMarkup     func(label ptr, markup string)
	labelWrap       func(label ptr, wrap int32)
	labelWrapMode   func(label ptr, mode int32)
	labelMaxChars   func(label ptr, n int32)
	labelXalign     func(label ptr, x float32)
	labelSelectable func(label ptr, selectable int32)
	labelEllipsize  func(label ptr, mode int32)
	labelJustify    func(label ptr, kind int32)
	labelLines      func(label ptr, lines int32)
	labelAttributes func(label, attributes ptr)
	attrListNew     func() ptr
	attrListInsert  func(list, attribute ptr)
	attrListUnref   func(list ptr)
	attrHyphens     func(insert int32) ptr

	buttonNew   func(label string) ptr
	itemNew     func(label string) ptr
	itemLine    func() ptr
	menuAppend  func(menu, item ptr)
	menuNew     func() ptr
	showURI     func(window ptr, uri string, time uint32, err ptr) int32
	menuFirst   func(menu ptr, sensitive int32)
	menuAttach  func(menu, widget, detach ptr)
	menuPopup   func(menu, widget ptr, widgetAnchor, menuAnchor int32, event ptr)
	checkNew    func(label string) ptr
	checkSet    func(item ptr, active int32)
	buttonLabel func(button ptr, label string)

	scrollNew         func(h, v ptr) ptr
	scrollPolicy      func(scroll ptr, h, v int32)
	scrollVadjustment func(scroll ptr) ptr
	scrollMaxHeight   func(scroll ptr, height int32)
	scrollMinHeight   func(scroll ptr, height int32)
	scrollNatural     func(scroll ptr, propagate int32)
	adjValue          func(adjustment ptr) float64
	adjSetValue       func(adjustment ptr, value float64)
	adjUpper          func(adjustment ptr) float64
	adjPage           func(adjustment ptr) float64

	listNew         func() ptr
	listMode        func(list ptr, mode int32)
	listInsert      func(list, child ptr, position int32)
	listPlaceholder func(list, placeholder ptr)
	listSelect      func(list, row ptr)
	listRowAt       func(list ptr, index int32) ptr
	listRowNew      func() ptr
	listRowIndex    func(row ptr) int32
	listRowActive   func(row ptr, activatable int32)
	listRowSelects  func(row ptr, selectable int32)

	viewNew     func() ptr
	viewBuffer  func(view ptr) ptr
	viewWrap    func(view ptr, mode int32)
	viewTabs    func(view ptr, accepts int32)
	viewFilter  func(view, event ptr) int32
	bufferText  func(buffer ptr, text string, length int32)
	bufferStart func(buffer ptr, iter *textIter)
	bufferEnd   func(buffer ptr, iter *textIter)
	bufferGet   func(buffer ptr, start, end *textIter, hidden int32) *byte
	bufferPlace func(buffer ptr, iter *textIter)
	bufferPaste func(buffer, clipboard, location ptr, editable int32)
	bufferType  func(buffer ptr, text string, length, editable int32) int32

	clipboardGet     func(selection ptr) ptr
	clipboardText    func(clipboard ptr, text string, length int32)
	clipboardTargets func(clipboard, f, data ptr)
	clipboardURIs    func(clipboard, f, data ptr)
	targetsHaveURI   func(targets ptr, n int32) int32
	targetsHaveText  func(targets ptr, n int32) int32
	targetsHaveImage func(targets ptr, n, writable int32) int32
	targetListNew    func(targets ptr, n uint32) ptr
	targetListURIs   func(list ptr, info uint32)
	targetListText   func(list ptr, info uint32)
	targetListImages func(list ptr, info uint32, writable int32)
	targetListUnref  func(list ptr)
	dragDestSet      func(widget ptr, flags int32, targets ptr, n, actions int32)
	dragFindTarget   func(widget, context, list ptr) ptr
	dragGetData      func(widget, context, target ptr, time uint32)
	dragFinish       func(context ptr, success, del int32, time uint32)
	selectionURIs    func(selection ptr) ptr
	selectionText    func(selection ptr) *byte

	entryNew         func() ptr
	entryText        func(entry ptr) *byte
	entrySetText     func(entry ptr, text string)
	editablePosition func(entry ptr, position int32)
	entryFilter      func(entry, event ptr) int32
	entryIcon        func(entry ptr, position int32, name string)
)

// symbols are where C calls what.
var symbols = []struct {
	f    any
	name string
}{
	{&gSetenv, "g_setenv"},
	{&gUnsetenv, "g_unsetenv"},
	{&gInitCheck, "gtk_init_check"},
	{&gMainLoopNew, "g_main_loop_new"},
	{&gMainLoopRun, "g_main_loop_run"},
	{&gMainLoopQuit, "g_main_loop_quit"},
	{&gMainLoopUnref, "g_main_loop_unref"},
	{&gIdleAddFull, "g_idle_add_full"},
	{&gSignalConnect, "g_signal_connect_data"},
	{&gFree, "g_free"},
	{&gSetPrgname, "g_set_prgname"},
	{&gSetAppName, "g_set_application_name"},
	{&gTypeName, "g_type_name_from_instance"},
	{&gIconName, "gtk_window_set_default_icon_name"},
	{&gDisplayDefault, "gdk_display_get_default"},
	{&gScreenDefault, "gdk_screen_get_default"},
	{&gDefaultSeat, "gdk_display_get_default_seat"},
	{&gSeatPointer, "gdk_seat_get_pointer"},
	{&gDevicePosition, "gdk_device_get_position"},
	{&gMonitorAtPoint, "gdk_display_get_monitor_at_point"},
	{&gMonitorWorkarea, "gdk_monitor_get_workarea"},
	{&gEventKeyval, "gdk_event_get_keyval"},
	{&gEventState, "gdk_event_get_state"},
	{&gKeyvalToUnicode, "gdk_keyval_to_unicode"},
	{&gCSSNew, "gtk_css_provider_new"},
	{&gCSSLoad, "gtk_css_provider_load_from_data"},
	{&gAddProvider, "gtk_style_context_add_provider_for_screen"},
	{&gStyleContext, "gtk_widget_get_style_context"},
	{&gAddClass, "gtk_style_context_add_class"},
	{&gRemoveClass, "gtk_style_context_remove_class"},
	{&gAccessible, "gtk_widget_get_accessible"},
	{&gSetAccessibleName, "atk_object_set_name"},
	{&gSetRole, "atk_object_set_role"},
	{&gRoleByName, "atk_role_for_name"},
	{&gAtkType, "atk_object_get_type"},
	{&gSignalLookup, "g_signal_lookup"},
	{&gSignalSay, "g_signal_emit_by_name"},
	{&gSignalStop, "g_signal_stop_emission_by_name"},
	{&gStringsFree, "g_strfreev"},
	{&gAtom, "gdk_atom_intern"},
	{&gWindowState, "gdk_window_get_state"},
	{&gDragStatus, "gdk_drag_status"},

	{&wShow, "gtk_widget_show"},
	{&wHide, "gtk_widget_hide"},
	{&wTooltip, "gtk_widget_set_tooltip_text"},
	{&gSignalEmit, "g_signal_emit_by_name"},
	{&wShowAll, "gtk_widget_show_all"},
	{&wSetVisible, "gtk_widget_set_visible"},
	{&wNoShowAll, "gtk_widget_set_no_show_all"},
	{&wDestroy, "gtk_widget_destroy"},
	{&wRealize, "gtk_widget_realize"},
	{&wGetWindow, "gtk_widget_get_window"},
	{&wFrameClock, "gtk_widget_get_frame_clock"},
	{&wGrabFocus, "gtk_widget_grab_focus"},
	{&wHasFocus, "gtk_widget_has_focus"},
	{&wSensitive, "gtk_widget_set_sensitive"},
	{&wCanFocus, "gtk_widget_set_can_focus"},
	{&wFocusOnClick, "gtk_widget_set_focus_on_click"},
	{&wSizeRequest, "gtk_widget_set_size_request"},
	{&wHexpand, "gtk_widget_set_hexpand"},
	{&wVexpand, "gtk_widget_set_vexpand"},
	{&wHalign, "gtk_widget_set_halign"},
	{&wValign, "gtk_widget_set_valign"},
	{&wMarginStart, "gtk_widget_set_margin_start"},
	{&wMarginEnd, "gtk_widget_set_margin_end"},
	{&wMarginTop, "gtk_widget_set_margin_top"},
	{&wMarginBottom, "gtk_widget_set_margin_bottom"},
	{&wAllocatedSize, "gtk_widget_get_allocated_size"},

	{&wChildFocus, "gtk_widget_child_focus"},
	{&focusChild, "gtk_container_get_focus_child"},
	{&winSize, "gtk_window_get_size"},
	{&winNew, "gtk_window_new"},
	{&winTitle, "gtk_window_set_title"},
	{&winDefaultSize, "gtk_window_set_default_size"},
	{&winIcon, "gtk_window_set_icon_name"},
	{&winMove, "gtk_window_move"},
	{&winPresent, "gtk_window_present_with_time"},
	{&winIsActive, "gtk_window_is_active"},
	{&winGetFocus, "gtk_window_get_focus"},

	{&boxNew, "gtk_box_new"},
	{&boxPackStart, "gtk_box_pack_start"},
	{&containerAdd, "gtk_container_add"},
	{&containerDrop, "gtk_container_remove"},
	{&overlayNew, "gtk_overlay_new"},
	{&overlayAdd, "gtk_overlay_add_overlay"},
	{&overlayPass, "gtk_overlay_set_overlay_pass_through"},
	{&separatorNew, "gtk_separator_new"},

	{&labelNew, "gtk_label_new"},
	{&labelText, "gtk_label_set_text"},
	{&labelMarkup, "gtk_label_set_markup"},
	{&labelWrap, "gtk_label_set_line_wrap"},
	{&labelWrapMode, "gtk_label_set_line_wrap_mode"},
	{&labelAttributes, "gtk_label_set_attributes"},
	{&attrListNew, "pango_attr_list_new"},
	{&attrListInsert, "pango_attr_list_insert"},
	{&attrListUnref, "pango_attr_list_unref"},
	{&attrHyphens, "pango_attr_insert_hyphens_new"},
	{&labelMaxChars, "gtk_label_set_max_width_chars"},
	{&labelXalign, "gtk_label_set_xalign"},
	{&labelSelectable, "gtk_label_set_selectable"},
	{&labelEllipsize, "gtk_label_set_ellipsize"},
	{&labelJustify, "gtk_label_set_justify"},
	{&labelLines, "gtk_label_set_lines"},

	{&buttonNew, "gtk_button_new_with_label"},
	{&itemNew, "gtk_menu_item_new_with_label"},
	{&itemLine, "gtk_separator_menu_item_new"},
	{&menuAppend, "gtk_menu_shell_append"},
	{&menuNew, "gtk_menu_new"},
	{&showURI, "gtk_show_uri_on_window"},
	{&menuFirst, "gtk_menu_shell_select_first"},
	{&menuAttach, "gtk_menu_attach_to_widget"},
	{&menuPopup, "gtk_menu_popup_at_widget"},
	{&checkNew, "gtk_check_menu_item_new_with_label"},
	{&checkSet, "gtk_check_menu_item_set_active"},
	{&buttonLabel, "gtk_button_set_label"},

	{&scrollNew, "gtk_scrolled_window_new"},
	{&scrollPolicy, "gtk_scrolled_window_set_policy"},
	{&scrollVadjustment, "gtk_scrolled_window_get_vadjustment"},
	{&scrollMaxHeight, "gtk_scrolled_window_set_max_content_height"},
	{&scrollMinHeight, "gtk_scrolled_window_set_min_content_height"},
	{&scrollNatural, "gtk_scrolled_window_set_propagate_natural_height"},
	{&adjValue, "gtk_adjustment_get_value"},
	{&adjSetValue, "gtk_adjustment_set_value"},
	{&adjUpper, "gtk_adjustment_get_upper"},
	{&adjPage, "gtk_adjustment_get_page_size"},

	{&listNew, "gtk_list_box_new"},
	{&listMode, "gtk_list_box_set_selection_mode"},
	{&listInsert, "gtk_list_box_insert"},
	{&listPlaceholder, "gtk_list_box_set_placeholder"},
	{&listSelect, "gtk_list_box_select_row"},
	{&listRowAt, "gtk_list_box_get_row_at_index"},
	{&listRowNew, "gtk_list_box_row_new"},
	{&listRowIndex, "gtk_list_box_row_get_index"},
	{&listRowActive, "gtk_list_box_row_set_activatable"},
	{&listRowSelects, "gtk_list_box_row_set_selectable"},

	{&viewNew, "gtk_text_view_new"},
	{&viewBuffer, "gtk_text_view_get_buffer"},
	{&viewWrap, "gtk_text_view_set_wrap_mode"},
	{&viewTabs, "gtk_text_view_set_accepts_tab"},
	{&viewFilter, "gtk_text_view_im_context_filter_keypress"},
	{&bufferText, "gtk_text_buffer_set_text"},
	{&bufferStart, "gtk_text_buffer_get_start_iter"},
	{&bufferEnd, "gtk_text_buffer_get_end_iter"},
	{&bufferGet, "gtk_text_buffer_get_text"},
	{&bufferPlace, "gtk_text_buffer_place_cursor"},
	{&bufferPaste, "gtk_text_buffer_paste_clipboard"},
	{&bufferType, "gtk_text_buffer_insert_interactive_at_cursor"},

	{&clipboardGet, "gtk_clipboard_get"},
	{&clipboardText, "gtk_clipboard_set_text"},
	{&clipboardTargets, "gtk_clipboard_request_targets"},
	{&clipboardURIs, "gtk_clipboard_request_uris"},
	{&targetsHaveURI, "gtk_targets_include_uri"},
	{&targetsHaveText, "gtk_targets_include_text"},
	{&targetsHaveImage, "gtk_targets_include_image"},
	{&targetListNew, "gtk_target_list_new"},
	{&targetListURIs, "gtk_target_list_add_uri_targets"},
	{&targetListText, "gtk_target_list_add_text_targets"},
	{&targetListImages, "gtk_target_list_add_image_targets"},
	{&targetListUnref, "gtk_target_list_unref"},
	{&dragDestSet, "gtk_drag_dest_set"},
	{&dragFindTarget, "gtk_drag_dest_find_target"},
	{&dragGetData, "gtk_drag_get_data"},
	{&dragFinish, "gtk_drag_finish"},
	{&selectionURIs, "gtk_selection_data_get_uris"},
	{&selectionText, "gtk_selection_data_get_text"},

	{&entryNew, "gtk_entry_new"},
	{&entryText, "gtk_entry_get_text"},
	{&entryFilter, "gtk_entry_im_context_filter_keypress"},
	{&entryIcon, "gtk_entry_set_icon_from_icon_name"},
	{&entrySetText, "gtk_entry_set_text"},
	{&editablePosition, "gtk_editable_set_position"},
	{&gCurrentState, "gtk_get_current_event_state"},
}

// load opens GTK and looks the functions up. The libraries that GTK is linked
// with are searched through its handle.
func load() error {
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("load %s: %w", library, err)
	}
	for _, symbol := range symbols {
		address, err := purego.Dlsym(handle, symbol.name)
		if err != nil {
			return fmt.Errorf("find %s in %s: %w", symbol.name, library, err)
		}
		purego.RegisterFunc(symbol.f, address)
	}
	// A GTK that was built for Wayland alone lacks it.
	if address, err := purego.Dlsym(handle, "gdk_x11_get_server_time"); err == nil {
		purego.RegisterFunc(&gX11ServerTime, address)
	}
	return nil
}

// goString copies a C string, which may be nil.
func goString(p *byte) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}

// pointer turns a pointer that C passed as a number into one that can be read.
func pointer(p ptr) *byte { return *(**byte)(unsafe.Pointer(&p)) }
