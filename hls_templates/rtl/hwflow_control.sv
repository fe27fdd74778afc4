// The first cell of the configuration ring: identification, control, status and counters, in the first 64 words.
//
//   ADDR_W      bits of a word's address in the ring, see hwflow_axil
//   STRUCTURE   hash of all that no access can change
//   DESIGN      hash of the design whose weights are in the memories at first, 0 if some memories are empty
//   TLAST       the source's tlast counts, after reset
//
// The registers, by word; docs/registers.md says what they mean:
//   0 MAGIC   1 VERSION   2, 3 STRUCTURE   4, 5 DESIGN   6 CTRL   7 STATUS   8, 9 CYCLES   10 IMAGES   11 EARLY   12 LATE
//   13 IN_STALLS   14 IN_IDLE   15 OUT_STALLS
// Words of 64 bits have the low half first. A write to what is read only is refused, and so is an exclusive or. No image
// may begin while DESIGN is 0.
//
// Timing: 2 cycles for every message.

`default_nettype none

module hwflow_control #(
    parameter int ADDR_W              = 10,
    parameter logic [63:0] STRUCTURE  = '0,
    parameter logic [63:0] DESIGN     = '0,
    parameter int TLAST               = 1,
    localparam int CFG_W              = ADDR_W + 35
) (
    input  wire              clk_i,
    input  wire              rst_ni,

    input  wire  [CFG_W-1:0] cfg_i,
    output logic [CFG_W-1:0] cfg_o,

    output logic             enable_o,
    output logic             check_o,
    input  wire              busy_i,
    input  wire              early_i,
    input  wire              late_i,
    input  wire              s_tvalid,
    input  wire              s_tready,
    input  wire              m_tvalid,
    input  wire              m_tready,
    input  wire              m_tlast
);

    localparam logic [31:0] MAGIC = 32'h4857464c, VERSION = 32'h00010000;
    localparam logic [1:0] READ = 2'd0, WRITE = 2'd1, ANSWER = 2'd3;

    if (ADDR_W < 7 || TLAST < 0 || TLAST > 1) begin : gen_error_size
        initial $fatal(1, "hwflow_control: ADDR_W (%0d) must be 7 or more, TLAST (%0d) 0 or 1", ADDR_W, TLAST);
    end

    // --- What happens, a cycle later.

    logic early_reg, late_reg, image_reg, in_stall_reg, in_idle_reg, out_stall_reg, busy_reg;

    always_ff @(posedge clk_i) begin
        busy_reg <= busy_i;
        if (!rst_ni) begin
            early_reg     <= 1'b0;
            late_reg      <= 1'b0;
            image_reg     <= 1'b0;
            in_stall_reg  <= 1'b0;
            in_idle_reg   <= 1'b0;
            out_stall_reg <= 1'b0;
        end else begin
            early_reg     <= early_i;
            late_reg      <= late_i;
            image_reg     <= m_tvalid && m_tready && m_tlast;
            in_stall_reg  <= s_tvalid && !s_tready;
            in_idle_reg   <= s_tready && !s_tvalid;
            out_stall_reg <= m_tvalid && !m_tready;
        end
    end

    // --- The message in hand, and what it reads.

    logic [CFG_W-1:0] message_reg;
    logic hit_reg, clear_reg;

    wire hit = cfg_i[CFG_W-1] && cfg_i[CFG_W-2-:2] != ANSWER && cfg_i[CFG_W-4:38] == '0;
    wire [1:0] op = message_reg[CFG_W-2-:2];
    wire [5:0] index = message_reg[37:32];
    wire [31:0] data = message_reg[31:0];
    wire write = hit_reg && op == WRITE;
    wire writable = index[5:2] == 4'd1;  // DESIGN, CTRL, STATUS
    wire refused = index[5:4] != '0 || (op != READ && !(op == WRITE && writable));

    logic [63:0] design_reg;
    logic enable_reg, empty_reg;
    logic [2:1] status_reg;
    logic carry_reg;
    logic [31:0] cycles_low_reg, cycles_high_reg, images_reg, early_count_reg, late_count_reg;
    logic [31:0] in_stalls_reg, in_idle_count_reg, out_stalls_reg;

    // A reset leaves the memories as they are, and with them the name of what they hold.
    initial design_reg = DESIGN;

    // Words 15 to 0.
    wire [16*32-1:0] registers = {
        out_stalls_reg, in_idle_count_reg, in_stalls_reg, late_count_reg, early_count_reg, images_reg, cycles_high_reg,
        cycles_low_reg, {28'd0, empty_reg, status_reg, busy_reg}, {30'd0, check_o, enable_reg}, design_reg, STRUCTURE,
        VERSION, MAGIC
    };
    wire [31:0] value = registers[32*index[3:0]+:32];

    always_ff @(posedge clk_i) begin
        message_reg[CFG_W-2:0] <= cfg_i[CFG_W-2:0];
        cfg_o[CFG_W-2:0] <= !hit_reg ? message_reg[CFG_W-2:0] :
                            {ANSWER, {(ADDR_W - 1) {1'b0}}, refused, refused ? 32'd0 : value};
        empty_reg <= design_reg == '0;
        if (write && index == 6'd4) design_reg[31:0] <= data;
        if (write && index == 6'd5) design_reg[63:32] <= data;
        if (!rst_ni) begin
            message_reg[CFG_W-1] <= 1'b0;
            hit_reg              <= 1'b0;
            cfg_o[CFG_W-1]       <= 1'b0;
            enable_reg           <= 1'b1;
            enable_o             <= 1'b0;
            check_o              <= TLAST != 0;
            status_reg           <= '0;
            clear_reg            <= 1'b1;
        end else begin
            message_reg[CFG_W-1] <= cfg_i[CFG_W-1];
            hit_reg              <= hit;
            cfg_o[CFG_W-1]       <= message_reg[CFG_W-1];
            if (write && index == 6'd6) {check_o, enable_reg} <= data[1:0];
            enable_o   <= enable_reg && !empty_reg;
            status_reg <= (status_reg & ~((write && index == 6'd7) ? data[2:1] : 2'b00)) | {late_reg, early_reg};
            clear_reg  <= write && index == 6'd6 && data[2];
        end
    end

    // --- Counters.

    always_ff @(posedge clk_i) begin
        if (clear_reg) begin
            carry_reg         <= 1'b0;
            cycles_low_reg    <= '0;
            cycles_high_reg   <= '0;
            images_reg        <= '0;
            early_count_reg   <= '0;
            late_count_reg    <= '0;
            in_stalls_reg     <= '0;
            in_idle_count_reg <= '0;
            out_stalls_reg    <= '0;
        end else begin
            cycles_low_reg <= cycles_low_reg + 1'b1;
            carry_reg      <= cycles_low_reg == 32'hffffffff;
            if (carry_reg) cycles_high_reg <= cycles_high_reg + 1'b1;
            if (image_reg) images_reg <= images_reg + 1'b1;
            if (early_reg) early_count_reg <= early_count_reg + 1'b1;
            if (late_reg) late_count_reg <= late_count_reg + 1'b1;
            if (in_stall_reg) in_stalls_reg <= in_stalls_reg + 1'b1;
            if (in_idle_reg) in_idle_count_reg <= in_idle_count_reg + 1'b1;
            if (out_stall_reg) out_stalls_reg <= out_stalls_reg + 1'b1;
        end
    end

endmodule

`default_nettype wire
