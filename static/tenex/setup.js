// The workspace's time zone is that of the person who makes it; it can be changed in the settings.
const field = document.querySelector("[data-zone]");
if (field) field.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
