// Stream FIFO: decouples two neighbours, and holds the short branch of a skip connection while the
// long one computes.
//
//   WIDTH   bits of a beat
//   DEPTH   beats in the memory, any number from 1
//   BLOCK   1: the memory is block RAM, 0: LUTs, see hwflow_ram
//   BEHIND  beats that may be on their way from block RAM or wait behind it; 6 keep it at a beat a cycle
//
// Of LUTs, the memory's own register is the output, and holds a beat more. Block RAM is read without ever waiting: its
// address comes from a register, and what it read passes another register on the way to a FIFO of LUTs, which has room for
// every beat that was read (BEHIND), so that no logic lies between block RAMs and registers wherever they are on a device.
// s_tready and m_t* come from registers.
//
// Timing: 2 cycles from input to output, 5 of block RAM; one beat a cycle. DEPTH = 1 takes a beat every other cycle.

`default_nettype none

module hwflow_fifo #(
    parameter int WIDTH  = 16,
    parameter int DEPTH  = 4,
    parameter int BLOCK  = (DEPTH > 32 && WIDTH * DEPTH > 1024) ? 1 : 0,
    parameter int BEHIND = 8
) (
    input  wire              clk_i,
    input  wire              rst_ni,

    input  wire  [WIDTH-1:0] s_tdata,
    input  wire              s_tvalid,
    output logic             s_tready,

    output logic [WIDTH-1:0] m_tdata,
    output logic             m_tvalid,
    input  wire              m_tready
);

    localparam int INDEX_W = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int COUNT_W = $clog2(DEPTH + 1);
    localparam logic [INDEX_W-1:0] LAST = INDEX_W'(DEPTH - 1);
    localparam logic [COUNT_W-1:0] ALL_BUT_ONE = COUNT_W'(DEPTH - 1);

    if (WIDTH < 1 || DEPTH < 1 || BEHIND < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_fifo: WIDTH (%0d), DEPTH (%0d) and BEHIND (%0d) must be positive", WIDTH, DEPTH, BEHIND);
    end

    logic [INDEX_W-1:0] write_index_reg, read_index_reg;
    logic [COUNT_W-1:0] count_reg;  // beats in the memory
    logic full_reg, empty_reg;      // of the memory
    wire room;                      // for what is read of it

    wire write = s_tvalid && !full_reg;
    wire take  = !empty_reg && room;
    wire [WIDTH-1:0] read_data;

    assign s_tready = !full_reg;

    hwflow_ram #(
        .WIDTH (WIDTH),
        .DEPTH (DEPTH),
        .BLOCK (BLOCK)
    ) memory (
        .clk_i        (clk_i),
        .write_en_i   (write),
        .write_addr_i (write_index_reg),
        .write_data_i (s_tdata),
        .read_en_i    (take || BLOCK != 0),
        .read_addr_i  (read_index_reg),
        .read_data_o  (read_data)
    );

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            write_index_reg <= '0;
            read_index_reg <= '0;
            count_reg <= '0;
            full_reg <= 1'b0;
            empty_reg <= 1'b1;
        end else begin
            if (write) write_index_reg <= (write_index_reg == LAST) ? '0 : write_index_reg + 1'b1;
            if (take) read_index_reg <= (read_index_reg == LAST) ? '0 : read_index_reg + 1'b1;
            if (write && !take) begin
                count_reg <= count_reg + 1'b1;
                full_reg  <= count_reg == ALL_BUT_ONE;
                empty_reg <= 1'b0;
            end
            if (take && !write) begin
                count_reg <= count_reg - 1'b1;
                full_reg  <= 1'b0;
                empty_reg <= count_reg == COUNT_W'(1);
            end
        end
    end

    if (BLOCK != 0) begin : gen_behind
        localparam int FREE_W = $clog2(BEHIND + 1);

        logic [FREE_W-1:0] free_reg;
        logic room_reg, left_reg, read_valid_reg, data_valid_reg;
        logic [WIDTH-1:0] data_reg;
        wire always_ready;
        wire unused_ready = &{1'b0, always_ready};

        assign room = room_reg;

        always_ff @(posedge clk_i) begin
            data_reg <= read_data;
            if (!rst_ni) begin
                free_reg       <= FREE_W'(BEHIND);
                room_reg       <= 1'b1;
                left_reg       <= 1'b0;
                read_valid_reg <= 1'b0;
                data_valid_reg <= 1'b0;
            end else begin
                left_reg       <= m_tvalid && m_tready;
                read_valid_reg <= take;
                data_valid_reg <= read_valid_reg;
                if (take && !left_reg) begin
                    free_reg <= free_reg - 1'b1;
                    room_reg <= free_reg != FREE_W'(1);
                end
                if (left_reg && !take) begin
                    free_reg <= free_reg + 1'b1;
                    room_reg <= 1'b1;
                end
            end
        end

        hwflow_fifo #(
            .WIDTH (WIDTH),
            .DEPTH (BEHIND),
            .BLOCK (0)
        ) behind (
            .clk_i    (clk_i),
            .rst_ni   (rst_ni),
            .s_tdata  (data_reg),
            .s_tvalid (data_valid_reg),
            .s_tready (always_ready),
            .m_tdata  (m_tdata),
            .m_tvalid (m_tvalid),
            .m_tready (m_tready)
        );
    end else begin : gen_output
        logic valid_reg;

        assign room     = !valid_reg || m_tready;
        assign m_tdata  = read_data;
        assign m_tvalid = valid_reg;

        always_ff @(posedge clk_i) begin
            if (!rst_ni) valid_reg <= 1'b0;
            else if (take) valid_reg <= 1'b1;
            else if (m_tready) valid_reg <= 1'b0;
        end
    end

endmodule

`default_nettype wire
